//! TLS, with certificates on both sides.

use harness::rabbitmq::{Queue, RabbitMq};
use lapin::ExchangeKind;
use vmcatcher_operator::events::{AmqpSettings, ClientTls, Sink, SinkError};

use super::{available, declare, identities, identities_of, settings, sink, stopped};

/// Settings for a host's name, an authority that is trusted, and a client certificate.
fn encrypted(broker: &RabbitMq, host: &str, authority: &str, client: Option<&str>) -> AmqpSettings {
    let file = |name: &str, ending: &str| broker.certificate(&format!("{name}.{ending}"));
    let identity = client.map(|client| (file(client, "crt"), file(client, "key")));
    let tls = ClientTls { authorities: Some(file(authority, "crt")), identity };
    let url = format!("amqps://{host}:{}", broker.tls_port).parse().unwrap();
    AmqpSettings { url, tls, ..settings(broker, "encrypted") }
}

/// Why the broker cannot be reached.
async fn unreachable(settings: AmqpSettings) -> String {
    match stopped(settings).await {
        SinkError::Unreachable { found, .. } => found,
        other => panic!("expected Unreachable, found {other:?}"),
    }
}

#[tokio::test]
async fn events_arrive_over_tls_with_own_authorities_and_a_client_certificate() {
    let broker = RabbitMq::shared().await;
    declare(&broker, "encrypted", ExchangeKind::Topic).await;
    let queue = Queue::bound(&broker, "encrypted", "#", &[]).await;
    let events = available(300);
    let delivery = sink(encrypted(&broker, "localhost", "authority", Some("client"))).deliver(&events).await;
    assert_eq!(delivery.handled, events.len(), "{:?}", delivery.stopped);
    assert_eq!(identities(&queue.take_all().await), identities_of(&events));
}

#[tokio::test]
async fn a_broker_with_the_certificate_of_a_stranger_is_refused() {
    let broker = RabbitMq::shared().await;
    let found = unreachable(encrypted(&broker, "localhost", "stranger", Some("client"))).await;
    assert!(
        found.contains("the certificate of the broker is refused: self-signed certificate in certificate chain"),
        "{found}"
    );
    let system = ClientTls { authorities: None, ..encrypted(&broker, "localhost", "stranger", Some("client")).tls };
    let settings = AmqpSettings { tls: system, ..encrypted(&broker, "localhost", "stranger", None) };
    let found = unreachable(settings).await;
    assert!(found.contains("the certificate of the broker is refused"), "{found}");
}

#[tokio::test]
async fn a_broker_with_a_certificate_for_another_host_is_refused() {
    let broker = RabbitMq::shared().await;
    let found = unreachable(encrypted(&broker, "127.0.0.1", "authority", Some("client"))).await;
    assert!(found.contains("IP address mismatch"), "{found}");
}

#[tokio::test]
async fn a_client_without_a_certificate_of_the_broker_s_authority_is_refused() {
    let broker = RabbitMq::shared().await;
    for client in [None, Some("stranger-client")] {
        match stopped(encrypted(&broker, "localhost", "authority", client)).await {
            SinkError::Denied { found, .. } => assert!(found.contains("alert"), "{found}"),
            // The end of the connection was there before the alert.
            SinkError::Unreachable { found, .. } => assert!(found.contains("another client certificate"), "{found}"),
            other => panic!("{client:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn certificate_files_that_cannot_be_used_are_named() {
    let broker = RabbitMq::shared().await;
    let good = encrypted(&broker, "localhost", "authority", Some("client"));
    let (certificate, key) = good.tls.identity.clone().unwrap();
    let other_key = broker.certificate("server.key");
    for (tls, wrong, words) in [
        (ClientTls { authorities: Some(key.clone()), identity: None }, &key, "found none"),
        (
            ClientTls { identity: Some((certificate.clone(), certificate.clone())), ..good.tls.clone() },
            &certificate,
            "PEM key",
        ),
        (
            ClientTls { identity: Some((certificate.clone(), other_key.clone())), ..good.tls.clone() },
            &other_key,
            "not the key",
        ),
    ] {
        match stopped(AmqpSettings { tls, ..good.clone() }).await {
            SinkError::File { path, found, .. } => {
                assert_eq!(path, *wrong);
                assert!(found.contains(words), "{found}");
            }
            other => panic!("expected File, found {other:?}"),
        }
    }
}
