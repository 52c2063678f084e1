//! The names that OpenStack uses for operating systems and architectures ("Useful image properties": `os_distro`,
//! `os_version` and `architecture`), from the values of a list. Pure.

/// A word of a list, as its first letters in lower case without other characters, and the distribution in OpenStack.
const DISTRIBUTIONS: [(&str, &str); 27] = [
    ("almalinux", "almalinux"),
    ("alma", "almalinux"),
    ("alpine", "alpinelinux"),
    ("archlinux", "arch"),
    ("centos", "centos"),
    ("cirros", "cirros"),
    ("debian", "debian"),
    ("fedora", "fedora"),
    ("freebsd", "freebsd"),
    ("gentoo", "gentoo"),
    ("netbsd", "netbsd"),
    ("openbsd", "openbsd"),
    ("opensuse", "opensuse"),
    ("oraclelinux", "oraclelinux"),
    ("redhat", "rhel"),
    ("rhel", "rhel"),
    ("rockylinux", "rocky"),
    ("rocky", "rocky"),
    ("scientificlinux", "scientificlinux"),
    ("scientific", "scientificlinux"),
    ("slc", "scientificlinux"),
    ("sles", "sles"),
    ("sled", "sled"),
    ("sl", "scientificlinux"),
    ("ubuntu", "ubuntu"),
    ("windows", "windows"),
    ("vmwarephoton", "photon"),
];

/// `os_distro`, `os_version` and `architecture`, as far as the values of a list (`sl:os`, `sl:osversion`, `sl:arch`) are
/// clear. Many lists have `Linux` as the system, and the distribution before the version: `SL 5.5`.
pub(super) fn described(os: Option<&str>, version: Option<&str>, arch: Option<&str>) -> Vec<(&'static str, String)> {
    let (os, version) = (os.unwrap_or_default(), version.unwrap_or_default());
    let distribution = distribution(os).or_else(|| distribution(version));
    let number = number(version).or_else(|| number(os)).filter(|_| distribution.is_some());
    let distribution = distribution.map(|name| ("os_distro", name.to_owned()));
    let number = number.map(|number| ("os_version", number));
    let arch = arch.and_then(architecture).map(|name| ("architecture", name.to_owned()));
    distribution.into_iter().chain(number).chain(arch).collect()
}

/// The distribution with which a text begins, after `Linux` and other words that many have: `Linux/CentOS 7`.
fn distribution(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty()).collect();
    let words = words.iter().copied().skip_while(|word| ["gnu", "linux", "os"].contains(word));
    let words: Vec<&str> = words.collect();
    let known = |name: &str| DISTRIBUTIONS.iter().find(|(word, _)| *word == name).map(|(_, name)| *name);
    let joined = |count: usize| words.get(..count).map(<[_]>::concat);
    [2, 1].into_iter().filter_map(joined).find_map(|name| known(&name))
}

/// The first number of a text: `22.04`, `6.6`.
fn number(text: &str) -> Option<String> {
    let from = text.find(|c: char| c.is_ascii_digit())?;
    let number: String = text[from..].chars().take_while(|c| c.is_ascii_digit() || *c == '.').take(32).collect();
    Some(number.trim_end_matches('.').to_owned())
}

fn architecture(text: &str) -> Option<&'static str> {
    Some(match text.trim().to_lowercase().as_str() {
        "x86_64" | "amd64" | "x86-64" | "x64" => "x86_64",
        "i386" | "i486" | "i586" | "i686" | "x86" | "ia32" => "i686",
        "aarch64" | "arm64" => "aarch64",
        "armv7l" | "armhf" => "armv7l",
        "ppc64" => "ppc64",
        "ppc64le" | "ppc64el" => "ppc64le",
        "riscv64" => "riscv64",
        "s390x" => "s390x",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(os: &str, version: &str, arch: &str) -> String {
        let values = described(Some(os), Some(version), Some(arch));
        values.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_clear_is_named_as_openstack_does() {
        let cases = [
            (("CentOS", "7", "x86_64"), "os_distro=centos os_version=7 architecture=x86_64"),
            (("Ubuntu", "22.04 LTS", "amd64"), "os_distro=ubuntu os_version=22.04 architecture=x86_64"),
            (("Linux", "SL 5.5", "i386"), "os_distro=scientificlinux os_version=5.5 architecture=i686"),
            (("Linux", "6.6", "x86_64"), "architecture=x86_64"),
            (("Rocky Linux 9", "", "arm64"), "os_distro=rocky os_version=9 architecture=aarch64"),
            (("Red Hat Enterprise Linux", "8.", "?"), "os_distro=rhel os_version=8"),
            (("Linux/AlmaLinux", "9.3", ""), "os_distro=almalinux os_version=9.3"),
            (("GNU/Linux Debian", "bookworm", ""), "os_distro=debian"),
            (("Slackware", "15", ""), ""),
            (("", "", ""), ""),
        ];
        for ((os, version, arch), expected) in cases {
            assert_eq!(shown(os, version, arch), expected, "{os} {version} {arch}");
        }
        assert_eq!(described(None, None, None), []);
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(os in "\\PC{0,20}", version in "\\PC{0,20}", arch in "\\PC{0,8}") {
            let values = described(Some(&os), Some(&version), Some(&arch));
            proptest::prop_assert!(values.iter().all(|(_, value)| !value.is_empty() && value.len() <= 32));
        }
    }
}
