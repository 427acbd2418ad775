//! A change is on every stream of every protocol.

use crate::ofrep;
use crate::rig::{Rig, document};

#[test]
fn every_stream_hears_of_a_change_and_of_the_end() {
    let mut rig = Rig::flagd(document());
    let mut streams: Vec<_> = (0..20).map(|_| ofrep::stream(&rig).0).collect();
    let mut unleash = rig.client();
    unleash.open("/api/client/streaming", "");
    let mut serin = rig.client();
    serin.open("/serin/v1/flags/follow", "");
    for client in streams.iter_mut().chain([&mut unleash, &mut serin]) {
        assert!(client.event().is_some());
    }
    assert_eq!(rig.counts().streams, 22);
    let mut newer = document();
    newer["flags"]["bool"]["defaultVariant"] = "off".into();
    rig.put(2, newer);
    for client in streams.iter_mut().chain([&mut unleash, &mut serin]) {
        assert!(client.event().is_some());
    }
    rig.stop();
    for client in streams.iter_mut().chain([&mut unleash, &mut serin]) {
        assert_eq!(client.event(), None);
    }
    assert_eq!(rig.counts().streams, 0);
}
