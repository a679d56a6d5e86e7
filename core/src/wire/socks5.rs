//! The client's side of SOCKS5 (RFC 1928) with user and password (RFC 1929): from the greeting until
//! the proxy has connected to where we want to go.
//!
//! Each step waits for the answer to the one before, as the RFC has it, and reads not a byte beyond
//! the proxy's last: what follows is of who is behind it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::route::Login;

const VERSION: u8 = 5;
/// The version of the sub-negotiation about user and password.
const LOGIN_VERSION: u8 = 1;

const METHOD_NONE: u8 = 0;
const METHOD_LOGIN: u8 = 2;
const METHOD_NO: u8 = 0xFF;

const COMMAND_CONNECT: u8 = 1;

const TYPE_V4: u8 = 1;
const TYPE_NAME: u8 = 3;
const TYPE_V6: u8 = 4;

/// The longest name that there is room for.
pub const NAME_LEN_MAX: usize = 255;

/// The longest answer: to a request, with a name of 255 bytes.
const ANSWER_LEN_MAX: usize = 4 + 1 + NAME_LEN_MAX + 2;

/// Where the proxy is to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socks5Target {
    /// An address.
    Addr(SocketAddr),
    /// A host that the proxy looks up, and a port.
    Name(String, u16),
}

/// A negotiation with a proxy.
#[derive(Clone, Debug)]
pub struct Socks5 {
    stage: Stage,
    target: Socks5Target,
    login: Option<Login>,
    /// What has come of the answer that is waited for.
    stash: Vec<u8>,
}

/// Whose answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Greeting,
    Login,
    Request,
}

/// What [`Socks5::step`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socks5Step {
    /// All of the input was taken and more is needed.
    NeedMore,
    /// This is to be sent, and the rest of the input stepped through.
    Send {
        /// It.
        bytes: Vec<u8>,
        /// How many bytes of the input were taken.
        used: usize,
        /// Whether it holds the login.
        is_secret: bool,
    },
    /// The connection is made.
    Done {
        /// How many bytes of the input were taken; what follows is from behind the proxy.
        used: usize,
    },
}

/// Why a proxy does not lead where we want to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Socks5Error {
    /// What it answers is no SOCKS5.
    NotSocks5,
    /// It wants a login, or another than user and password.
    NoMethod,
    /// It does not know the user, or not with this password.
    LoginRefused,
    /// It did not connect, for this reason.
    Refused(Socks5Refusal),
}

/// Why a proxy did not connect (RFC 1928, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Socks5Refusal {
    /// It does not say why.
    General,
    /// It may not.
    NotAllowed,
    /// The target's network is not reached.
    NetworkUnreachable,
    /// The target's host is not reached, or has no address.
    HostUnreachable,
    /// Nobody answers there.
    ConnectionRefused,
    /// It took too many hops.
    Expired,
    /// It makes no connections.
    Command,
    /// It knows no such addresses.
    AddressType,
    /// Something else, by this number.
    Other(u8),
}

impl Socks5 {
    /// A negotiation that is about to begin.
    #[must_use]
    pub const fn new(target: Socks5Target, login: Option<Login>) -> Self {
        Self { stage: Stage::Greeting, target, login, stash: Vec::new() }
    }

    /// What is to be sent first.
    #[must_use]
    pub fn greeting(&self) -> Vec<u8> {
        if self.login.is_some() {
            vec![VERSION, 2, METHOD_NONE, METHOD_LOGIN]
        } else {
            vec![VERSION, 1, METHOD_NONE]
        }
    }

    /// Whether the proxy has been told where to connect to: from then on it may be the target's fault
    /// that nothing comes.
    #[must_use]
    pub fn has_asked(&self) -> bool {
        self.stage == Stage::Request
    }

    /// Takes the next bytes of the proxy. Not to be called again after `Done` or an error.
    ///
    /// # Errors
    /// When the proxy refuses or speaks something else.
    pub fn step(&mut self, input: &[u8]) -> Result<Socks5Step, Socks5Error> {
        let before = self.stash.len();
        let room = ANSWER_LEN_MAX.saturating_sub(before);
        self.stash.extend(input.iter().take(room));
        let Some(len) = self.answer_len()? else { return Ok(Socks5Step::NeedMore) };
        let Some(answer) = self.stash.get(..len) else { return Ok(Socks5Step::NeedMore) };
        // What is in the stash is less than an answer, or it would have been taken before.
        let used = len.saturating_sub(before);
        let code = answer.get(1).copied().unwrap_or_default();
        self.stash.clear();
        match (self.stage, code) {
            (Stage::Greeting, METHOD_NONE) | (Stage::Login, 0) => Ok(self.request(used)),
            (Stage::Greeting, METHOD_LOGIN) => self.log_in(used),
            (Stage::Greeting, METHOD_NO) => Err(Socks5Error::NoMethod),
            (Stage::Greeting, _) => Err(Socks5Error::NotSocks5),
            (Stage::Login, _) => Err(Socks5Error::LoginRefused),
            (Stage::Request, 0) => Ok(Socks5Step::Done { used }),
            (Stage::Request, code) => Err(Socks5Error::Refused(Socks5Refusal::read(code))),
        }
    }

    /// How long the answer is that is waited for, if enough of it is there to tell. A refusal ends with
    /// its second byte: some proxies send no more.
    fn answer_len(&self) -> Result<Option<usize>, Socks5Error> {
        let byte = |at: usize| self.stash.get(at).copied();
        let version = if self.stage == Stage::Login { LOGIN_VERSION } else { VERSION };
        if byte(0).is_some_and(|first| first != version) {
            return Err(Socks5Error::NotSocks5);
        }
        if self.stage != Stage::Request || byte(1).is_some_and(|code| code != 0) {
            return Ok(Some(2));
        }
        let addr_len = match (byte(3), byte(4)) {
            (None, _) | (Some(TYPE_NAME), None) => return Ok(None),
            (Some(TYPE_V4), _) => 4,
            (Some(TYPE_V6), _) => 16,
            (Some(TYPE_NAME), Some(len)) => 1 + usize::from(len),
            (Some(_), _) => return Err(Socks5Error::NotSocks5),
        };
        Ok(Some(4 + addr_len + 2))
    }

    fn log_in(&mut self, used: usize) -> Result<Socks5Step, Socks5Error> {
        // It was not offered: there is none.
        let Some(Login { user, password }) = &self.login else { return Err(Socks5Error::NotSocks5) };
        let mut bytes = vec![LOGIN_VERSION];
        for secret in [user, password] {
            bytes.push(secret.len());
            bytes.extend(secret.reveal());
        }
        self.stage = Stage::Login;
        Ok(Socks5Step::Send { bytes, used, is_secret: true })
    }

    fn request(&mut self, used: usize) -> Socks5Step {
        let mut bytes = vec![VERSION, COMMAND_CONNECT, 0];
        let port = match &self.target {
            Socks5Target::Addr(addr) => {
                match addr.ip() {
                    IpAddr::V4(ip) => {
                        bytes.push(TYPE_V4);
                        bytes.extend(ip.octets());
                    }
                    IpAddr::V6(ip) => {
                        bytes.push(TYPE_V6);
                        bytes.extend(ip.octets());
                    }
                }
                addr.port()
            }
            Socks5Target::Name(name, port) => {
                // A longer one would have been refused where it came from.
                let name = name.as_bytes().get(..NAME_LEN_MAX).unwrap_or(name.as_bytes());
                bytes.extend([TYPE_NAME, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
                bytes.extend(name);
                *port
            }
        };
        bytes.extend(port.to_be_bytes());
        self.stage = Stage::Request;
        Socks5Step::Send { bytes, used, is_secret: false }
    }
}

impl Socks5Error {
    /// Whether the proxy itself is of no use, and not merely the target out of reach.
    #[must_use]
    pub const fn is_of_proxy(self) -> bool {
        match self {
            Self::NotSocks5 | Self::NoMethod | Self::LoginRefused | Self::Refused(Socks5Refusal::Command) => {
                true
            }
            Self::Refused(_) => false,
        }
    }
}

impl Socks5Refusal {
    const fn read(code: u8) -> Self {
        match code {
            1 => Self::General,
            2 => Self::NotAllowed,
            3 => Self::NetworkUnreachable,
            4 => Self::HostUnreachable,
            5 => Self::ConnectionRefused,
            6 => Self::Expired,
            7 => Self::Command,
            8 => Self::AddressType,
            code => Self::Other(code),
        }
    }
}

impl fmt::Display for Socks5Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSocks5 => f.write_str("it does not speak SOCKS5"),
            Self::NoMethod => f.write_str("it wants a login, or another one than user and password"),
            Self::LoginRefused => f.write_str("it refuses the user or the password"),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl fmt::Display for Socks5Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::General => "it can't connect",
            Self::NotAllowed => "it does not allow the connection",
            Self::NetworkUnreachable => "it does not reach the network",
            Self::HostUnreachable => "it does not reach the host",
            Self::ConnectionRefused => "the connection is refused behind it",
            Self::Expired => "it is too many hops away",
            Self::Command => "it makes no connections",
            Self::AddressType => "it knows no such addresses",
            Self::Other(code) => return write!(f, "it refuses with code {code}"),
        })
    }
}

impl std::error::Error for Socks5Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Secret;
    use proptest::prelude::*;

    const OK: [u8; 10] = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

    fn login() -> Login {
        let secret = |text: &str| Secret::new(text.as_bytes().to_vec()).unwrap();
        Login { user: secret("me"), password: secret("pass") }
    }

    fn target() -> Socks5Target {
        Socks5Target::Addr("192.0.2.1:6881".parse().unwrap())
    }

    /// What is sent, and how it ends: how many bytes are left over, or why it fails.
    type Outcome = (Vec<Vec<u8>>, Option<Result<usize, Socks5Error>>);

    fn talk(mut socks: Socks5, answers: &[u8], lens: &[usize]) -> Outcome {
        let mut sent = vec![socks.greeting()];
        let mut lens = lens.iter().chain(std::iter::repeat(&usize::MAX));
        let mut rest = answers;
        while !rest.is_empty() {
            let len = rest.len().min(*lens.next().unwrap()).max(1);
            let (mut now, later) = rest.split_at(len);
            loop {
                match socks.step(now) {
                    Ok(Socks5Step::NeedMore) => break,
                    Ok(Socks5Step::Send { bytes, used, .. }) => {
                        sent.push(bytes);
                        now = &now[used..];
                    }
                    Ok(Socks5Step::Done { used }) => {
                        return (sent, Some(Ok(now.len() - used + later.len())));
                    }
                    Err(error) => {
                        return (sent, Some(Err(error)));
                    }
                }
            }
            assert!(socks.stash.len() <= ANSWER_LEN_MAX);
            rest = later;
        }
        (sent, None)
    }

    #[test]
    fn without_a_login_none_is_offered() {
        let answers = [&[5, 0][..], &OK, b"\x13BitTorrent"].concat();
        let (sent, end) = talk(Socks5::new(target(), None), &answers, &[]);
        let request = vec![5, 1, 0, 1, 192, 0, 2, 1, 26, 225];
        assert_eq!((sent, end), (vec![vec![5, 1, 0], request], Some(Ok(11))));
    }

    #[test]
    fn a_login_is_given_when_it_is_wanted() {
        let request = [&[5, 1, 0, 3, 4][..], b"host", &[0, 80]].concat();
        let of = |answers: &[u8]| {
            talk(Socks5::new(Socks5Target::Name("host".to_owned(), 80), Some(login())), answers, &[])
        };
        let (sent, end) = of(&[&[5, 2, 1, 0][..], &OK].concat());
        let words = [&[1, 2][..], b"me", &[4], b"pass"].concat();
        assert_eq!((sent, end), (vec![vec![5, 2, 0, 2], words, request.clone()], Some(Ok(0))));
        let (sent, end) = of(&[&[5, 0][..], &OK].concat());
        assert_eq!((sent, end), (vec![vec![5, 2, 0, 2], request], Some(Ok(0))));
        assert_eq!(of(&[5, 2, 1, 7]).1, Some(Err(Socks5Error::LoginRefused)));
    }

    #[test]
    fn an_ipv6_target_goes_as_one() {
        let target = Socks5Target::Addr("[2001:db8::1]:1".parse().unwrap());
        let (sent, _) = talk(Socks5::new(target, None), &[5, 0], &[]);
        assert_eq!((sent[1].len(), &sent[1][..6]), (22, &[5, 1, 0, 4, 0x20, 0x01][..]));
        assert_eq!(sent[1][19..], [1, 0, 1]);
    }

    #[test]
    fn what_goes_wrong_has_a_name() {
        use Socks5Error::{NoMethod, NotSocks5, Refused};
        for (answers, error) in [
            (&[5, 0xFF][..], NoMethod),
            (b"HTTP/1.1 400", NotSocks5),
            (&[4, 0], NotSocks5),
            (&[5, 2], NotSocks5),
            (&[5, 1], NotSocks5),
            (&[5, 0, 4], NotSocks5),
            (&[5, 0, 5, 0, 0, 2], NotSocks5),
            (&[5, 0, 5, 1], Refused(Socks5Refusal::General)),
            (&[5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0], Refused(Socks5Refusal::ConnectionRefused)),
            (&[5, 0, 5, 99], Refused(Socks5Refusal::Other(99))),
        ] {
            let (_, end) = talk(Socks5::new(target(), None), answers, &[]);
            assert_eq!(end, Some(Err(error)), "{answers:?}");
        }
        let of_proxy = [NotSocks5, NoMethod, Socks5Error::LoginRefused, Refused(Socks5Refusal::Command)];
        assert!(of_proxy.iter().all(|error| error.is_of_proxy()));
        assert!(!Refused(Socks5Refusal::HostUnreachable).is_of_proxy());
    }

    #[test]
    fn the_proxy_is_told_the_target_when_it_has_chosen_a_method() {
        let mut socks = Socks5::new(target(), None);
        assert!(!socks.has_asked());
        socks.step(&[5, 0]).unwrap();
        assert!(socks.has_asked());
    }

    #[test]
    fn an_answer_cut_off_is_waited_for() {
        let answers = [&[5, 0, 5, 0, 0, 3, 255][..], &[b'x'; 255], &[0, 0]].concat();
        for len in 1..answers.len() {
            assert_eq!(talk(Socks5::new(target(), None), &answers[..len], &[]).1, None, "{len}");
        }
        assert_eq!(talk(Socks5::new(target(), None), &answers, &[]).1, Some(Ok(0)));
    }

    proptest! {
        #[test]
        fn answers_mean_the_same_however_they_are_cut(
            method in prop_oneof![Just(0_u8), Just(2), any::<u8>()],
            addr in prop_oneof![
                Just(vec![1, 0, 0, 0, 0]),
                Just([&[4][..], &[7; 16]].concat()),
                any::<u8>().prop_map(|len| [&[3, len][..], &vec![b'x'; len.into()]].concat()),
                prop::collection::vec(any::<u8>(), 0..9),
            ],
            code in prop_oneof![4 => Just(0_u8), 1 => any::<u8>()],
            rest in prop::collection::vec(any::<u8>(), 0..30),
            lens in prop::collection::vec(1_usize..9, 0..40),
        ) {
            let status: &[u8] = if method == 2 { &[1, 0] } else { &[] };
            let answers = [&[5, method][..], status, &[5, code, 0], &addr, &[0, 0], &rest].concat();
            let socks = Socks5::new(target(), Some(login()));
            prop_assert_eq!(talk(socks.clone(), &answers, &lens), talk(socks, &answers, &[]));
        }

        #[test]
        fn any_bytes_mean_the_same_however_they_are_cut(
            bytes in prop::collection::vec(prop_oneof![3 => 0_u8..6, 1 => any::<u8>()], 0..60),
            lens in prop::collection::vec(1_usize..5, 0..40),
        ) {
            let socks = Socks5::new(target(), Some(login()));
            prop_assert_eq!(talk(socks.clone(), &bytes, &lens), talk(socks, &bytes, &[]));
        }
    }
}
