//! The opposite of `have` (BEP 54, "lt_donthave"). We lose no pieces, so it is only understood.

use super::{Extension, ExtensionError, Told};
use crate::cx::Cx;

/// There is nothing to remember: what the peer has is the torrent's to know.
#[derive(Debug, Default)]
pub(crate) struct DontHave;

impl Extension for DontHave {
    const NAME: &'static str = "lt_donthave";

    fn on_message(&mut self, _: &mut Cx, payload: &[u8]) -> Result<Option<Told>, ExtensionError> {
        let index = payload.try_into().map_err(|_| ExtensionError::Message)?;
        Ok(Some(Told::Lost { index: u32::from_be_bytes(index) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::time::Instant;

    #[test]
    fn a_message_is_one_number() {
        let mut cx = Cx::new(Config::default(), 1, Instant::START);
        assert_eq!(DontHave.on_message(&mut cx, &[0, 0, 1, 2]), Ok(Some(Told::Lost { index: 258 })));
        for bad in [&[][..], &[1, 2, 3], &[1, 2, 3, 4, 5]] {
            assert_eq!(DontHave.on_message(&mut cx, bad), Err(ExtensionError::Message));
        }
    }
}
