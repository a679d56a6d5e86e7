//! Partial seeds (BEP 21): who wants nothing more, though it may not have everything.

use super::{Extension, ExtensionError, Hello, Told};
use crate::cx::Cx;

/// Whether a peer wants something.
#[derive(Debug, Default)]
pub(crate) struct UploadOnly {
    /// It does not, and will not.
    pub(crate) is_set: bool,
}

impl UploadOnly {
    /// The message that we want nothing more.
    pub(crate) const MESSAGE: &'static [u8] = &[1];

    /// The message that we want something after all.
    pub(crate) const MESSAGE_OVER: &'static [u8] = &[0];

    fn set(&mut self, value: bool) -> Option<Told<'static>> {
        let changed = std::mem::replace(&mut self.is_set, value) != value;
        changed.then_some(Told::UploadOnly)
    }
}

impl Extension for UploadOnly {
    /// libtorrent's: the BEP has only the key of the handshake, which can't tell of a change.
    const NAME: &'static str = "upload_only";

    fn on_handshake(&mut self, _: &mut Cx, hello: &Hello) -> Option<Told<'static>> {
        hello.upload_only.and_then(|value| self.set(value))
    }

    /// One byte: whether it is so from now on.
    fn on_message<'a>(&mut self, _: &mut Cx, payload: &'a [u8]) -> Result<Option<Told<'a>>, ExtensionError> {
        let [value] = payload else { return Err(ExtensionError::Message) };
        Ok(self.set(*value != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::time::Instant;

    #[test]
    fn a_change_is_told_once() {
        let (mut cx, mut state) = (Cx::new(Config::default(), 1, Instant::START), UploadOnly::default());
        let hello = Hello { upload_only: Some(true), ..Hello::default() };
        assert_eq!(state.on_handshake(&mut cx, &hello), Some(Told::UploadOnly));
        assert_eq!(state.on_handshake(&mut cx, &Hello::default()), None);
        assert_eq!(state.on_message(&mut cx, UploadOnly::MESSAGE), Ok(None));
        assert_eq!(state.on_message(&mut cx, &[0]), Ok(Some(Told::UploadOnly)));
        assert!(!state.is_set);
        assert_eq!(state.on_message(&mut cx, &[]), Err(ExtensionError::Message));
    }
}
