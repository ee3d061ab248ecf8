//! The hash of a password: bcrypt or argon2id, read strictly, and bounded in what a check costs.
//!
//! A hash of the file is untrusted: whoever may write it chooses how long each login takes and how
//! much memory. What is above the bounds is refused when it is read, not when somebody logs in.

use argon2::password_hash::phc::{Ident, Output, ParamsString, PasswordHash, Salt};
use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
};
use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// A hash that can be checked.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hash {
    kind: Kind,
    text: String,
}

/// How it was made, and what a check of it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// 2^cost rounds.
    Bcrypt { cost: u32 },
    /// Kibibytes that are filled so many times.
    Argon2id {
        memory: u32,
        passes: u32,
        lanes: u32,
    },
}

/// What is wrong with a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Of another kind.
    #[error("its hash is neither bcrypt nor argon2id (make one with htpasswd -B)")]
    Unknown,
    /// Cut short, or with other characters.
    #[error("its bcrypt hash is malformed")]
    Bcrypt,
    /// Too costly.
    #[error("its bcrypt cost of {0} is above {MAX_COST}: each login would keep a core busy")]
    BcryptCost(u32),
    /// Cut short, or with other characters.
    #[error("its argon2id hash is malformed")]
    Argon2,
    /// Too costly.
    #[error(
        "its argon2id cost is too high (m above {MAX_MEMORY}, m times t above {MAX_WORK}, or p \
         above {MAX_LANES}): each login would take the machine's memory or keep a core busy"
    )]
    Argon2Cost,
}

/// The least cost that bcrypt has, and the highest that is taken: about a second for each login.
const MIN_COST: u32 = 4;
const MAX_COST: u32 = 14;
/// The versions of bcrypt that htpasswd programs write. `$2x$` marks hashes of a broken program.
const VERSIONS: [&str; 3] = ["$2a$", "$2b$", "$2y$"];
/// Characters of the encoded salt and digest, and the bytes that they stand for.
const SALT: (usize, usize) = (22, 16);
const DIGEST: (usize, usize) = (31, 23);
/// Bytes of a password that bcrypt takes into account: a longer one is nobody's.
const MAX_BCRYPT_BYTES: usize = 72;
/// Some programs set the last character's unused bits; Go, and so `distribution`, reads over them.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Kibibytes that a check of argon2id may fill: as many checks run at a time as there are cores.
const MAX_MEMORY: u32 = 256 << 10;
/// Kibibytes times passes: about a second.
const MAX_WORK: u64 = 1 << 20;
const MAX_LANES: u32 = 16;
/// Bytes of a digest that cannot be met by chance.
const MIN_OUTPUT: usize = 16;
/// What new passwords are hashed with: OWASP's first choice for argon2id, 19 MiB twice.
const NEW: (u32, u32, u32) = (19 << 10, 2, 1);
/// Bytes of a new salt (RFC 9106, section 3.1).
const NEW_SALT: usize = 16;

/// Nanoseconds of a round of bcrypt and of a kibibyte of argon2id, roughly: only to compare them.
const BCRYPT_ROUND_NS: u64 = 50_000;
const ARGON2_KIB_NS: u64 = 700;

/// Why there is no hash of a new password.
#[derive(Debug, thiserror::Error)]
pub enum NewHashError {
    /// Nobody may log in with nothing.
    #[error("the password is empty")]
    Empty,
    /// The system gives no random numbers.
    #[error("there are no random numbers for a salt")]
    NoRandom(#[source] getrandom::Error),
    /// The hash could not be computed.
    #[error("the password could not be hashed")]
    Failed(#[source] argon2::password_hash::Error),
}

/// Hashes a new password: argon2id with what OWASP recommends, in the PHC string format. Blocks for
/// some tens of milliseconds.
///
/// # Errors
/// An empty password; a system without random numbers.
pub fn hash_password(password: &[u8]) -> Result<String, NewHashError> {
    if password.is_empty() {
        return Err(NewHashError::Empty);
    }
    let mut salt = [0; NEW_SALT];
    getrandom::fill(&mut salt).map_err(NewHashError::NoRandom)?;
    let (memory, passes, lanes) = NEW;
    let failed = |error| NewHashError::Failed(error);
    let params = Params::new(memory, passes, lanes, None).map_err(|error| failed(error.into()))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2
        .hash_password_with_salt(password, &salt)
        .map_err(failed)?;
    Ok(hash.to_string())
}

impl Hash {
    pub(crate) fn parse(text: &str) -> Result<Self, HashError> {
        if text.starts_with("$argon2id$") {
            return Self::parse_argon2(text);
        }
        let rest = VERSIONS
            .iter()
            .find_map(|version| text.strip_prefix(version))
            .ok_or(HashError::Unknown)?;
        let (cost, rest) = rest.split_once('$').ok_or(HashError::Bcrypt)?;
        let cost = match cost.as_bytes() {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
                u32::from(tens - b'0') * 10 + u32::from(ones - b'0')
            }
            _ => return Err(HashError::Bcrypt),
        };
        // The length is not trusted to fall between two characters.
        let (salt, digest) = rest.split_at_checked(SALT.0).ok_or(HashError::Bcrypt)?;
        let (salt, digest) = (decode(salt, SALT)?, decode(digest, DIGEST)?);
        match cost {
            ..MIN_COST | 32.. => Err(HashError::Bcrypt),
            MIN_COST..=MAX_COST => Ok(Self::bcrypt(cost, &salt, &digest)),
            _ => Err(HashError::BcryptCost(cost)),
        }
    }

    fn parse_argon2(text: &str) -> Result<Self, HashError> {
        let malformed = |_| HashError::Argon2;
        let hash = PasswordHash::new(text).map_err(malformed)?;
        let number = |name| {
            let value = hash.params.iter().find(|(found, _)| found.as_str() == name);
            value.and_then(|(_, value)| value.decimal().ok())
        };
        let known = hash.params.iter().count() == 3 && hash.algorithm == ARGON2ID_IDENT;
        let (Some(memory), Some(passes), Some(lanes), true) =
            (number("m"), number("t"), number("p"), known)
        else {
            return Err(HashError::Argon2);
        };
        let whole = hash.salt.is_some() && hash.version == Some(Version::V0x13.into());
        let long = hash
            .hash
            .as_ref()
            .is_some_and(|hash| hash.len() >= MIN_OUTPUT);
        // The least that argon2 takes, before what is the most here.
        if !whole || !long || passes == 0 || lanes == 0 || memory / 8 < lanes {
            return Err(HashError::Argon2);
        }
        let work = u64::from(memory) * u64::from(passes);
        if memory > MAX_MEMORY || work > MAX_WORK || lanes > MAX_LANES {
            return Err(HashError::Argon2Cost);
        }
        Params::new(memory, passes, lanes, None).map_err(|_| HashError::Argon2)?;
        Ok(Self {
            kind: Kind::Argon2id {
                memory,
                passes,
                lanes,
            },
            text: hash.to_string(),
        })
    }

    /// One way to write it, whatever the file has.
    fn bcrypt(cost: u32, salt: &[u8], digest: &[u8]) -> Self {
        let (salt, digest) = (bcrypt::BASE_64.encode(salt), bcrypt::BASE_64.encode(digest));
        Self {
            kind: Kind::Bcrypt { cost },
            text: format!("$2b${cost:02}${salt}{digest}"),
        }
    }

    /// Nobody's hash, which costs as much to check as this one.
    pub(crate) fn nobody_like(&self) -> Self {
        let argon2 = |params: &ParamsString| {
            Some(PasswordHash {
                algorithm: Ident::new("argon2id").ok()?,
                version: Some(Version::V0x13.into()),
                params: params.clone(),
                salt: Some(Salt::new(&[0; NEW_SALT]).ok()?),
                hash: Some(Output::new(&[0; Params::DEFAULT_OUTPUT_LEN]).ok()?),
            })
        };
        match self.kind {
            Kind::Bcrypt { cost } => Self::bcrypt(cost, &[0; SALT.1], &[0; DIGEST.1]),
            Kind::Argon2id { .. } => {
                let hash = PasswordHash::new(&self.text);
                let nobody = hash.ok().and_then(|hash| argon2(&hash.params));
                // Its own text was read before. If it could not be read again it would not let
                // anybody in, either: who uses this looks at whether the user is known.
                let text = nobody.map_or_else(|| self.text.clone(), |hash| hash.to_string());
                Self {
                    kind: self.kind,
                    text,
                }
            }
        }
    }

    /// Whether a check of the other costs exactly as much.
    pub(crate) fn costs_like(&self, other: &Self) -> bool {
        self.kind == other.kind
    }

    /// Nanoseconds of a check, roughly.
    pub(crate) fn work(&self) -> u64 {
        match self.kind {
            Kind::Bcrypt { cost } => BCRYPT_ROUND_NS << cost.min(MAX_COST),
            Kind::Argon2id { memory, passes, .. } => {
                u64::from(memory) * u64::from(passes) * ARGON2_KIB_NS
            }
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it tells the password from every other one. bcrypt cuts off what is longer than 72
    /// bytes, and takes `a`, NUL, `a` for `a`, because it repeats a password and its closing NUL.
    pub(crate) fn can_tell(&self, password: &[u8]) -> bool {
        match self.kind {
            Kind::Bcrypt { .. } => password.len() <= MAX_BCRYPT_BYTES && !password.contains(&0),
            Kind::Argon2id { .. } => true,
        }
    }

    /// Whether it is the password's; compared in constant time. Blocks for as long as a core needs.
    /// The hash was read before, so that no error is left but a lack of memory.
    pub(crate) fn matches(&self, password: &[u8]) -> bool {
        match self.kind {
            Kind::Bcrypt { .. } => bcrypt::verify(password, &self.text).unwrap_or(false),
            Kind::Argon2id { .. } => Argon2::default()
                .verify_password(password, self.text.as_str())
                .is_ok(),
        }
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hash")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Exactly the text of so many characters that stands for so many bytes.
fn decode(text: &str, (characters, bytes): (usize, usize)) -> Result<Vec<u8>, HashError> {
    if text.len() != characters {
        return Err(HashError::Bcrypt);
    }
    let decoded = LENIENT.decode(text).map_err(|_| HashError::Bcrypt)?;
    if decoded.len() == bytes {
        Ok(decoded)
    } else {
        Err(HashError::Bcrypt)
    }
}

#[cfg(test)]
mod tests;
