//! A session's outputs do not depend on how streams are cut, nor on anything but seed and inputs.

use peerless_tests::check;
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_order_of_inputs_keeps_the_promises(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        check::session(&bytes);
    }
}
