//! The signature of a request, by the scheme of Standard Webhooks 1.0. Pure.
//!
//! Source: the specification of Standard Webhooks, sections "Signature scheme" and "Webhook Headers (Metadata)".

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use jiff::Timestamp;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use uuid::Uuid;

use super::super::input_file::without_line_end;

/// The least length of a key, in bytes: what the scheme demands.
const SHORTEST_KEY: usize = 24;

/// How a key in base64 begins.
const PREFIX: &[u8] = b"whsec_";

/// Base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The key of the signature.
pub(super) struct Key(PKey<Private>);

impl Key {
    /// The key in a file: raw bytes, or `whsec_` and base64. One line end at the end does not count. The error has what
    /// was expected and found, without the key.
    pub(super) fn of_file(bytes: &[u8]) -> Result<Self, String> {
        let bytes = without_line_end(bytes);
        let decoded;
        let key = match bytes.strip_prefix(PREFIX) {
            Some(text) => {
                decoded = BASE64.decode(text).map_err(|_| "expected base64 after whsec_, found something else")?;
                &decoded
            }
            None => bytes,
        };
        if key.len() < SHORTEST_KEY {
            return Err(format!("expected a key of at least {SHORTEST_KEY} bytes, found {}", key.len()));
        }
        PKey::hmac(key).map(Self).map_err(|_| "OpenSSL does not take the key".to_owned())
    }

    /// The headers `webhook-id`, `webhook-timestamp` and `webhook-signature` of a request that is sent at this time.
    pub(super) fn sign(
        &self,
        id: Uuid,
        now: Timestamp,
        body: &[u8],
    ) -> Result<[(&'static str, String); 3], ErrorStack> {
        let (id, time) = (id.to_string(), now.as_second().to_string());
        let mut signer = Signer::new(MessageDigest::sha256(), &self.0)?;
        for part in [id.as_bytes(), b".", time.as_bytes(), b".", body] {
            signer.update(part)?;
        }
        let signature = format!("v1,{}", STANDARD.encode(signer.sign_to_vec()?));
        Ok([("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", signature)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the message of the tests of the reference libraries, with another id. The signature is by Python's hmac.
    #[test]
    fn the_signature_is_the_hmac_of_id_time_and_body() {
        let key = Key::of_file(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let now = Timestamp::from_second(1_614_265_330).unwrap();
        let [id, time, signature] = key.sign(Uuid::from_u128(1), now, b"{\"test\": 2432232314}").unwrap();
        assert_eq!(id, ("webhook-id", "00000000-0000-0000-0000-000000000001".to_owned()));
        assert_eq!(time, ("webhook-timestamp", "1614265330".to_owned()));
        assert_eq!(signature, ("webhook-signature", "v1,iCxWDzOB1td6pu5wFuJotaWTEKkcYodMae2NqIIaffg=".to_owned()));
    }

    #[test]
    fn a_key_is_raw_or_base64_and_not_short() {
        let sign = |file: &[u8]| {
            let signed = Key::of_file(file).map(|key| key.sign(Uuid::nil(), Timestamp::UNIX_EPOCH, b"").unwrap());
            signed.map(|headers| headers[2].1.clone())
        };
        let same = sign(b"abcdefghijklmnopqrstuvwx").unwrap();
        for file in
            ["abcdefghijklmnopqrstuvwx\n", "abcdefghijklmnopqrstuvwx\r\n", "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4"]
        {
            assert_eq!(sign(file.as_bytes()).unwrap(), same, "{file}");
        }
        let padded = "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eQ==\n";
        assert_eq!(sign(padded.as_bytes()), sign(padded.replace('=', "").as_bytes()));
        let refused = [
            ("", "at least 24 bytes, found 0"),
            ("abcdefghijklmnopqrstuvw\n", "at least 24 bytes, found 23"),
            ("whsec_c2hvcnQ=", "at least 24 bytes, found 5"),
            ("whsec_no base64 of any kind at all", "expected base64 after whsec_"),
        ];
        for (file, expected) in refused {
            let error = sign(file.as_bytes()).unwrap_err();
            assert!(error.contains(expected), "{file:?}: {error}");
        }
    }
}
