use proptest::prelude::*;

use super::*;

fn policy(deny_loopback: bool) -> AddressPolicy {
    AddressPolicy::new(deny_loopback, BTreeSet::new())
}

#[test]
fn metadata_services_are_refused_however_they_are_written() {
    let cases = [
        ("169.254.169.254", "link-local"),
        ("169.254.169.254.", "link-local"),
        ("0xa9fea9fe", "link-local"),
        ("2852039166", "link-local"),
        ("0251.0376.0251.0376", "link-local"),
        ("169.254.43518", "link-local"),
        ("%31%36%39.254.169.254", "link-local"),
        ("１６９.254.169.254", "link-local"),
        ("169.254.170.2", "link-local"),
        ("[fe80::1]", "link-local"),
        ("[fe80::a9fe:a9fe]", "link-local"),
        ("[::ffff:169.254.169.254]", "link-local"),
        ("[::169.254.169.254]", "link-local"),
        ("[::ffff:0:169.254.169.254]", "link-local"),
        ("[64:ff9b::a9fe:a9fe]", "link-local"),
        ("[64:ff9b:1::a9fe:a9fe]", "link-local"),
        ("[64:ff9b:1:fffe:1:2:a9fe:a9fe]", "link-local"),
        ("[64:ff9b:1:a9fe:a9:fe00::]", "link-local"),
        ("[64:ff9b:1:a9fe:ffa9:fe01:203:405]", "link-local"),
        ("[64:ff9b:1:a9:fe:a9fe::]", "link-local"),
        ("[64:ff9b:1:0:a9:fea9:fe00:0]", "link-local"),
        ("[2002:a9fe:a9fe::1]", "link-local"),
        ("[2001:0:a9fe:a9fe::1]", "link-local"),
        ("[2001:0:c000:201:0:0:5601:5601]", "link-local"),
        ("[2001:db8::5efe:169.254.169.254]", "link-local"),
        ("[2001:db8::200:5efe:a9fe:a9fe]", "link-local"),
        ("[fd00:ec2::254]", "metadata service"),
        ("[fd00:ec2::23]", "metadata service"),
        ("[fd20:ce::254]", "metadata service"),
        ("[fd00:42::42]", "metadata service"),
        ("[fd00:a9fe:a9fe::1]", "metadata service"),
        ("100.100.100.200", "metadata service"),
        ("[::ffff:100.100.100.200]", "metadata service"),
        ("[2002:6464:64c8::1]", "metadata service"),
        ("192.0.0.192", "metadata service"),
        ("168.63.129.16", "metadata service"),
        ("metadata.google.internal", "link-local"),
        ("METADATA.Google.Internal.", "link-local"),
        ("instance-data.ec2.internal", "link-local"),
    ];
    for (host, range) in cases {
        let url = Url::parse(&format!("http://{host}/latest/meta-data")).unwrap();
        assert_eq!(policy(false).check_url(&url).unwrap_err().range, range, "{host}");
    }
}

#[test]
fn addresses_beside_those_ranges_are_asked() {
    let cases = [
        "169.253.255.255",
        "169.255.0.0",
        "100.100.100.201",
        "192.0.0.191",
        "[fd00:ec3::254]",
        "[fd20:ce::255]",
        "[2001:1::a9fe:a9fe]",
        "[64:ff9b::c000:201]",
        "[64:ff9b:1::c000:201]",
        "[64:ff9b:2::a9fe:a9fe]",
        "[2002:c000:201::a9fe]",
        "[2001:0:c000:201::3fff:fdfe]",
        "[2001:db8::a9fe:a9fe]",
        "metadata.example.org",
    ];
    for host in cases {
        let url = Url::parse(&format!("http://{host}/")).unwrap();
        assert!(policy(true).check_url(&url).is_ok(), "{host}");
    }
}

proptest! {
    /// Whatever is refused as IPv4 is refused inside every prefix, and what is not is asked there too.
    #[test]
    fn an_address_means_the_same_inside_every_prefix(bits: u32, near in 0_usize..6, free: [u8; 16], form in 0_usize..11) {
        let nearby = [bits, 0xa9fe_0000 | bits >> 16, 0x7f00_0000 | bits >> 8, 0x6464_64c8, 0xc000_00c0, 0xa83f_8110];
        let v4 = Ipv4Addr::from_bits(nearby[near]);
        prop_assume!(!is_this_network(v4));
        let wrapped = IpAddr::V6(wrap(v4, form, free));
        for deny_loopback in [false, true] {
            let policy = policy(deny_loopback);
            if policy.check("a", IpAddr::V4(v4)).is_err() {
                prop_assert!(policy.check("a", wrapped).is_err(), "{v4} in {wrapped}");
            }
        }
        if form < 4 && policy(true).check("a", IpAddr::V4(v4)).is_ok() {
            prop_assert!(policy(true).check("a", wrapped).is_ok(), "{v4} in {wrapped}");
        }
    }
}

/// An IPv4 address in one of the forms; bits that the form leaves free are those of `free`. The first four forms
/// have none.
fn wrap(v4: Ipv4Addr, form: usize, free: [u8; 16]) -> Ipv6Addr {
    let [a, b, c, d] = v4.octets();
    let place = |prefix: &[u8], at: [usize; 4], bytes: [u8; 4]| {
        let mut all = free;
        all[..prefix.len()].copy_from_slice(prefix);
        at.into_iter().zip(bytes).for_each(|(at, byte)| all[at] = byte);
        Ipv6Addr::from(all)
    };
    let (last, v4) = ([12, 13, 14, 15], [a, b, c, d]);
    let nat64 = [0, 0x64, 0xff, 0x9b];
    let local = [0, 0x64, 0xff, 0x9b, 0, 1];
    match form {
        0 => place(&[0; 12], last, v4),
        1 => place(&[[0; 4], [0; 4], [0, 0, 0xff, 0xff]].concat(), last, v4),
        2 => place(&[[0; 4], [0; 4], [0xff, 0xff, 0, 0]].concat(), last, v4),
        3 => place(&[nat64, [0; 4], [0; 4]].concat(), last, v4),
        4 => place(&local, [6, 7, 9, 10], v4),
        5 => place(&local, [7, 9, 10, 11], v4),
        6 => place(&local, [9, 10, 11, 12], v4),
        7 => place(&local, last, v4),
        8 => place(&[0x20, 0x02], [2, 3, 4, 5], v4),
        9 => place(&[0x20, 0x01, 0, 0], last, v4.map(|byte| !byte)),
        _ => {
            let mut address = place(&[], last, v4).octets();
            address[8..12].copy_from_slice(&[free[8] & 3, 0, 0x5e, 0xfe]);
            Ipv6Addr::from(address)
        }
    }
}

#[test]
fn loopback_is_refused_where_told() {
    let cases = [
        "http://127.0.0.1/",
        "http://127.9.9.9/",
        "http://0.0.0.0/",
        "http://0.1.2.3/",
        "http://0/",
        "http://[::]/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b:1::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://0x7f000001/",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://a.localhost/",
        "http://127.1/",
    ];
    for case in cases {
        let url = Url::parse(case).unwrap();
        assert_eq!(policy(true).check_url(&url).unwrap_err().range, "loopback", "{case}");
        assert!(policy(false).check_url(&url).is_ok(), "{case}");
    }
    for case in ["http://192.0.2.1/", "http://[2001:db8::1]/", "https://images.example.org/"] {
        assert!(policy(true).check_url(&Url::parse(case).unwrap()).is_ok(), "{case}");
    }
}

#[test]
fn what_a_name_resolves_to_is_judged_but_for_a_proxy() {
    let found = || vec!["169.254.1.1:0".parse().unwrap(), "192.0.2.1:0".parse().unwrap()];
    let refused =
        |host: &str, policy: &AddressPolicy| policy.allowed(host, vec!["127.0.0.1:0".parse().unwrap()]).is_err();
    assert_eq!(policy(true).allowed("a", found()).unwrap(), ["192.0.2.1:0".parse().unwrap()]);
    assert!(refused("a", &policy(true)));
    let with_proxy = AddressPolicy::new(true, BTreeSet::from(["proxy.local".to_owned()]));
    assert!(!refused("Proxy.local", &with_proxy));
    assert!(refused("a", &with_proxy));
}
