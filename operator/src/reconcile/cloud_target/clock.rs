//! Decides whether the local clock can be trusted to delete images in a cloud. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::api::{HasConditions, ImageListSubscription};
use crate::reconcile::conditions::DOUBTED;

/// A list whose fetch is overdue by more than this may mean that the clock went forward.
const LATE: SignedDuration = SignedDuration::from_hours(24);

/// Whether any subscription of the namespace doubts the clock, or has an overdue fetch. Only a pass that compares the
/// clock with a server's can show that the overdue time has really passed.
pub(super) fn is_doubted<'a>(
    subscriptions: impl IntoIterator<Item = &'a ImageListSubscription>,
    now: Timestamp,
) -> bool {
    subscriptions.into_iter().any(|subscription| {
        let Some(status) = &subscription.status else { return false };
        let next = status.next_fetch_time.as_ref().filter(|_| !subscription.spec.suspend);
        let late = next.is_some_and(|next| now.duration_since(next.0) > LATE);
        late || status.is_true(DOUBTED)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(suspend: bool, status: serde_json::Value) -> ImageListSubscription {
        let mut object = serde_json::json!({
            "metadata": {"name": "a"},
            "spec": {"source": {"url": "https://a/"}, "verify": {"endorserRefs": [{"name": "a"}]}, "suspend": suspend},
        });
        object["status"] = status;
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_list_that_was_not_asked_for_in_time_is_a_doubt() {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let next = |time: &str| serde_json::json!({"nextFetchTime": time});
        let cases = [
            (false, next("2026-11-22T13:00:00Z"), false),
            (false, next("2026-11-21T12:00:00Z"), false),
            (false, next("2026-11-21T11:59:59Z"), true),
            (true, next("2026-10-21T11:59:59Z"), false),
            (false, serde_json::json!({}), false),
        ];
        for (suspend, status, expected) in cases {
            assert_eq!(is_doubted([&subscription(suspend, status.clone())], now), expected, "{suspend} {status}");
        }
    }
}
