//! The strength of keys in bits of security (NIST SP 800-57 part 1, tables 2 and 3). There is one floor for all kinds
//! of keys.

use std::fmt;

use openssl::ec::Asn1Flag;
use openssl::pkey::{Id, PKeyRef, Public};

use super::certificate::Certificate;
use super::{Refusal, RefusalReason};

/// Bits of security: breaking a key takes about 2 to this power steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyStrength(u16);

impl KeyStrength {
    /// The minimum of NIST SP 800-131A for signatures: RSA and DSA of 2048 bits, curves of 224 bits.
    pub const FLOOR: Self = Self(112);

    /// A strength of this number of bits.
    pub const fn of_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The strength of an RSA or DSA modulus of this length in bits. Between two rows of the table, the lower one is
    /// used.
    fn of_modulus(bits: u32) -> Self {
        Self(match bits {
            15_360.. => 256,
            7680.. => 192,
            3072.. => 128,
            2048.. => 112,
            1024.. => 80,
            0.. => 0,
        })
    }

    /// The strength of a curve or a DSA subgroup whose order has this length in bits.
    fn of_order(bits: u32) -> Self {
        Self(u16::try_from(bits / 2).unwrap_or(u16::MAX))
    }
}

impl Default for KeyStrength {
    fn default() -> Self {
        Self::FLOOR
    }
}

impl fmt::Display for KeyStrength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bits) = self;
        match bits {
            80 | 112 | 128 | 192 | 256 => {
                let modulus = match bits {
                    80 => 1024,
                    112 => 2048,
                    128 => 3072,
                    192 => 7680,
                    _ => 15_360,
                };
                write!(f, "{bits} bits of security (RSA or DSA of {modulus} bits, a curve of {})", bits * 2)
            }
            _ => write!(f, "{bits} bits of security"),
        }
    }
}

/// The kind of a public key, for messages, and its strength.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) strength: KeyStrength,
    pub(super) kind: String,
}

impl Judged {
    /// RSA with a modulus of this length in bits.
    pub(super) fn rsa(bits: u32) -> Self {
        Self { strength: KeyStrength::of_modulus(bits), kind: format!("RSA of {bits} bits") }
    }

    /// Whether it is at least as strong as required. The error is the message of the refusal.
    pub(super) fn reaches(&self, least: KeyStrength) -> Result<(), String> {
        let expected = || format!("expected a key of at least {least}, found {}", self.kind);
        if self.strength >= least { Ok(()) } else { Err(expected()) }
    }
}

/// The strength of a key. It is 0 for a key that cannot be read.
pub(super) fn judge(key: &PKeyRef<Public>) -> Judged {
    let bits = key.bits();
    let judged = |strength, kind: &str| Judged { strength, kind: kind.to_owned() };
    match key.id() {
        Id::RSA | Id::RSA_PSS => match key.rsa() {
            // With the exponent 1, every text is its own signature.
            Ok(numbers) if numbers.e().num_bits() < 2 => judged(KeyStrength(0), "RSA with the exponent 1"),
            Ok(_) => Judged::rsa(bits),
            Err(_) => judged(KeyStrength(0), "RSA that cannot be read"),
        },
        Id::DSA => match key.dsa() {
            Ok(numbers) => {
                let order = u32::try_from(numbers.q().num_bits()).unwrap_or_default();
                let strength = KeyStrength::of_modulus(bits).min(KeyStrength::of_order(order));
                judged(strength, &format!("DSA of {bits} bits with a subgroup of {order} bits"))
            }
            Err(_) => judged(KeyStrength(0), "DSA that cannot be read"),
        },
        Id::EC | Id::SM2 => match key.ec_key() {
            // A curve with explicit parameters can be chosen so that it is easy to break (RFC 5480 section 2.1.1).
            Ok(curve)
                if curve.group().asn1_flag() == Asn1Flag::EXPLICIT_CURVE || curve.group().curve_name().is_none() =>
            {
                judged(KeyStrength(0), "a curve that is no named one")
            }
            Ok(curve) => {
                let name = curve.group().curve_name().and_then(|name| name.short_name().ok()).unwrap_or("?");
                judged(KeyStrength::of_order(curve.group().order_bits()), &format!("a curve of {bits} bits ({name})"))
            }
            Err(_) => judged(KeyStrength(0), "a curve that cannot be read"),
        },
        Id::ED25519 => judged(KeyStrength(128), "Ed25519"),
        Id::ED448 => judged(KeyStrength(224), "Ed448"),
        // Other keys that OpenSSL supports: OpenSSL's own estimate.
        _ => {
            let strength = u16::try_from(key.security_bits()).unwrap_or_default();
            judged(KeyStrength(strength), &format!("a key of {strength} bits of security"))
        }
    }
}

/// Whether a certificate's key is at least this strong. `depth` is its depth in the path, for the refusal.
pub(super) fn strong(certificate: &Certificate, depth: u32, least: KeyStrength) -> Result<(), Refusal> {
    let unreadable = || Judged { strength: KeyStrength(0), kind: "one that cannot be read".to_owned() };
    let judged = certificate.x509.public_key().map_or_else(|_| unreadable(), |key| judge(&key));
    judged.reaches(least).map_err(|why| {
        let message = format!("{why}; --min-key-strength takes less, for old archives");
        Refusal::new(RefusalReason::KeyTooWeak, message).about(certificate.shown(), depth)
    })
}

#[cfg(test)]
mod tests {
    use openssl::bn::BigNum;
    use openssl::dsa::Dsa;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::pkey::PKey;
    use openssl::rsa::Rsa;

    use super::*;

    fn of_curve(group: &EcGroup) -> Judged {
        let key = EcKey::generate(group).unwrap();
        let public = EcKey::from_public_key(group, key.public_key()).unwrap();
        judge(&PKey::from_ec_key(public).unwrap())
    }

    fn of_rsa(bits: usize, exponent: u32) -> u16 {
        let mut modulus = vec![0xff; bits / 8];
        modulus[0] = 0x80;
        let (modulus, exponent) = (BigNum::from_slice(&modulus).unwrap(), BigNum::from_u32(exponent).unwrap());
        let key = Rsa::from_public_components(modulus, exponent).unwrap();
        judge(&PKey::from_rsa(key).unwrap()).strength.0
    }

    #[test]
    fn rsa_is_judged_by_its_length_and_its_exponent() {
        for (bits, expected) in [(512, 0), (1016, 0), (1024, 80), (2040, 80), (2048, 112), (3072, 128), (4096, 128)] {
            assert_eq!(of_rsa(bits, 65_537), expected, "{bits}");
        }
        assert_eq!((of_rsa(2048, 3), of_rsa(2048, 1)), (112, 0));
    }

    #[test]
    fn a_curve_is_judged_by_its_order_and_must_be_a_named_one() {
        let table = [
            (Nid::SECP112R1, 56),
            (Nid::SECP160R1, 80),
            (Nid::X9_62_PRIME192V1, 96),
            (Nid::SECP224R1, 112),
            (Nid::X9_62_PRIME256V1, 128),
            (Nid::SECP521R1, 260),
        ];
        for (name, expected) in table {
            assert_eq!(of_curve(&EcGroup::from_curve_name(name).unwrap()).strength, KeyStrength(expected), "{name:?}");
        }
        let mut explicit = EcGroup::from_curve_name(Nid::SECP384R1).unwrap();
        explicit.set_asn1_flag(Asn1Flag::EXPLICIT_CURVE);
        assert_eq!(of_curve(&explicit).strength, KeyStrength(0));
    }

    #[test]
    fn dsa_is_as_strong_as_the_weaker_of_its_two_numbers() {
        let key = PKey::from_dsa(Dsa::generate(1024).unwrap()).unwrap();
        let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
        assert_eq!(judge(&public).strength, KeyStrength(80));
    }

    #[test]
    fn edwards_curves_are_strong() {
        for (key, expected) in [(PKey::generate_ed25519().unwrap(), 128), (PKey::generate_ed448().unwrap(), 224)] {
            let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
            assert_eq!(judge(&public).strength, KeyStrength(expected));
        }
    }
}
