use peerless_core::rng::Rng;
use peerless_tests::ops;
#[test]
fn stats() {
    let mut rng = Rng::new(1);
    let words = [
        "Store",
        "PieceFailed",
        "PeerBanned",
        "Complete {",
        "Job(Read",
        "Violation",
        "Stopped",
        "Send",
        "Started",
        "PeerConnected",
        "Announce",
        "Resume",
        "Save",
        "FileDone",
        "DoesNotRead",
        "Duplicate",
        "Ourselves",
        "Timeout",
    ];
    let mut n = [0; 18];
    for _ in 0..1000 {
        let bytes: Vec<u8> = (0..1500).map(|_| rng.next_u64() as u8).collect();
        let t = ops::run(&bytes, usize::MAX, false).outputs.concat();
        for (i, w) in words.iter().enumerate() {
            n[i] += usize::from(t.contains(w));
        }
    }
    for (i, w) in words.iter().enumerate() {
        println!("{w} {}", n[i]);
    }
}
