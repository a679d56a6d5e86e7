//! A session's outputs depend on its seed and its inputs alone, and not on how streams are cut.

use peerless_tests::check;
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_order_of_inputs_keeps_the_promises(bytes in prop::collection::vec(any::<u8>(), 0..2500)) {
        check::session(&bytes);
    }
}
