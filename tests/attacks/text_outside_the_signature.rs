//! A good signed list, with another list placed where a careless reader finds it: before the signed part, as a third
//! part, behind the end, or as a second Content-Type. Only what was signed is ever read.

use harness::list::ListBuilder;
use harness::signer::{Form, sign};

use crate::trust::{IDENTIFIER, PKI, endorser, list_of, now, verdict};

#[test]
fn only_what_was_signed_is_read() {
    let evil = ListBuilder::new("evil", now()).endorser(&PKI.endorser).json();
    let evil = String::from_utf8(evil).unwrap();
    let good = String::from_utf8(sign(&list_of(&PKI.endorser), &PKI.endorser, Form::Detached)).unwrap();
    let boundary = good.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (head, rest) = good.split_once(&format!("--{boundary}\n")).unwrap();
    let end = format!("\n--{boundary}--");
    let signature = good.split(&format!("\n--{boundary}\n")).nth(2).unwrap();
    let other_head = head.replace(&boundary, "other");
    let messages = [
        format!("{head}{evil}\n--{boundary}\n{rest}"),
        format!("{head}--{boundary}\n{evil}\n--{boundary}\n{rest}"),
        good.replace(&end, &format!("\n--{boundary}\n{evil}{end}")),
        format!("{good}\n{evil}"),
        format!("{other_head}--other\n{evil}\n--other\n{}", signature.replace(&boundary, "other")),
        good.replacen("Content-Type", "Content-Type: application/json\nContent-Type", 1),
    ];
    let mut verified = 0;
    for (index, message) in messages.iter().enumerate() {
        match verdict(message.as_bytes(), &[endorser("erin", &PKI.endorser)]) {
            Ok(list) => {
                verified += 1;
                assert_eq!(list.list().identifier.as_str(), IDENTIFIER, "message {index}");
            }
            Err(refusal) => {
                let reasons = ["SignatureInvalid", "MessageDigestMismatch", "Unsigned"];
                assert!(reasons.contains(&refusal.reason.as_str()), "{index}: {refusal}");
            }
        }
    }
    assert_eq!(verified, 2, "what stands before and behind the parts is no part of them");
}
