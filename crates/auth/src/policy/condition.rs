//! Conditions of rules, in the Common Expression Language (CEL).

use std::cell::OnceCell;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use cel::{Context, Env, Program, Value};
use ipnet::IpNet;
use roadstead_oci::RepositoryName;
use serde::Serialize;

use super::RuleError;
use crate::principal::Identity;

/// A condition that was read.
pub(crate) struct Condition {
    text: String,
    program: Program,
}

/// What a condition can look at.
pub(crate) struct Facts<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) groups: &'a [String],
    /// None for the catalog as a whole.
    pub(crate) repository: Option<&'a RepositoryName>,
    pub(crate) action: &'static str,
    pub(crate) client: Option<IpAddr>,
    pub(crate) now: SystemTime,
    pub(crate) told: Told,
}

/// The facts as conditions see them, put together for the first one: one decision can have to do with
/// many.
#[derive(Default)]
pub(crate) struct Told(OnceCell<Result<Context<'static, 'static>, String>>);

/// The variables, in the words of the documentation.
const VARIABLES: [&str; 8] = [
    "user",
    "kind",
    "groups",
    "claims",
    "repository",
    "action",
    "address",
    "time",
];

/// Bytes of a condition at most: it is read by recursion.
const MAX_BYTES: usize = 2048;

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

impl Condition {
    pub(crate) fn parse(text: &str) -> Result<Self, RuleError> {
        let refused = |why: String| RuleError::Condition {
            text: text.to_owned(),
            why,
        };
        if text.len() > MAX_BYTES {
            return Err(refused(format!(
                "a condition has at most {MAX_BYTES} bytes"
            )));
        }
        let program = ENVIRONMENT
            .compile(text)
            .map_err(|error| refused(error.to_string()))?;
        let references = program.references();
        let unknown = references
            .variables()
            .into_iter()
            .find(|name| !VARIABLES.contains(name));
        if let Some(name) = unknown {
            let known = VARIABLES.join(", ");
            return Err(refused(format!("{name} is not known; known are {known}")));
        }
        Ok(Self {
            text: text.to_owned(),
            program,
        })
    }

    /// Whether it holds; an error where it cannot be told, of a claim that is not there for
    /// example.
    pub(crate) fn holds(&self, facts: &Facts<'_>) -> Result<bool, String> {
        let context = facts.told.0.get_or_init(|| facts.tell());
        let context = context.as_ref().map_err(Clone::clone)?;
        match self.program.execute(context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err("it is neither true nor false".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Facts<'_> {
    fn tell(&self) -> Result<Context<'static, 'static>, String> {
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        add(&mut context, "user", self.identity.short_name())?;
        add(&mut context, "kind", self.identity.kind.as_str())?;
        let groups: Vec<&String> = self.identity.groups.iter().chain(self.groups).collect();
        add(&mut context, "groups", &groups)?;
        add(&mut context, "claims", &self.identity.claims)?;
        let repository = self.repository.map_or("", RepositoryName::as_str);
        add(&mut context, "repository", repository)?;
        add(&mut context, "action", self.action)?;
        let address = self.client.map(|ip| ip.to_string()).unwrap_or_default();
        add(&mut context, "address", &address)?;
        add(&mut context, "time", &Time::of(self.now))?;
        context
            .add_function("within", within)
            .map_err(|error| error.to_string())?;
        Ok(context)
    }
}

fn add<T: Serialize + ?Sized>(
    context: &mut Context<'_, '_>,
    name: &str,
    value: &T,
) -> Result<(), String> {
    let value = cel::to_value(value).map_err(|error| error.to_string())?;
    context.add_variable_from_value(name, value);
    Ok(())
}

/// `within(address, "10.0.0.0/8")`: whether the address is one of the network. Of what is no address,
/// as of a client whose proxies contradict each other, it cannot be told.
fn within(address: Arc<String>, network: Arc<String>) -> Result<bool, cel::ExecutionError> {
    let network: IpNet = network
        .parse()
        .or_else(|_| network.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| {
            cel::ExecutionError::function_error("within", format!("{network} is no network"))
        })?;
    let ip: IpAddr = address.parse().map_err(|_| {
        cel::ExecutionError::function_error("within", "the client's address is not known")
    })?;
    Ok(network.contains(&ip.to_canonical()))
}

/// The time of a request, in UTC.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct Time {
    /// Seconds since 1970.
    unix: u64,
    /// 0 to 23.
    hour: u64,
    /// 0 to 59.
    minute: u64,
    /// 0 is Sunday, 6 Saturday.
    weekday: u64,
}

impl Time {
    fn of(now: SystemTime) -> Self {
        let unix = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let days = unix / 86_400;
        Self {
            unix,
            hour: unix / 3_600 % 24,
            minute: unix / 60 % 60,
            // 1 January 1970 was a Thursday.
            weekday: (days + 4) % 7,
        }
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.text).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::principal::Kind;

    fn holds(condition: &str) -> Result<bool, String> {
        let claims = json!({"ref": "refs/heads/main", "protected": true, "n": 3});
        let identity = Identity::new(Kind::Oidc, "gitlab/job")
            .in_groups(vec!["dev".to_owned()])
            .with_claims(claims.as_object().unwrap().clone());
        let repository = RepositoryName::parse("team/app").unwrap();
        let facts = Facts {
            identity: &identity,
            groups: &["ops".to_owned()],
            repository: Some(&repository),
            action: "push",
            client: Some("10.1.2.3".parse().unwrap()),
            // Sunday, 29 November 2026, 12:34:56 UTC.
            now: UNIX_EPOCH + Duration::from_secs(1_795_955_696),
            told: Told::default(),
        };
        Condition::parse(condition)
            .map_err(|error| error.to_string())?
            .holds(&facts)
    }

    #[test]
    fn conditions_see_who_what_where_from_and_when() {
        for (condition, expected) in [
            ("true", true),
            ("user == 'gitlab/job' && kind == 'oidc'", true),
            ("'dev' in groups && 'ops' in groups", true),
            ("claims.ref == 'refs/heads/main'", true),
            ("claims.ref.matches('^refs/heads/(main|dev)$')", true),
            ("claims.protected && claims.n > 2", true),
            ("has(claims.environment)", false),
            ("repository.startsWith('team/')", true),
            ("action == 'pull'", false),
            ("within(address, '10.0.0.0/8')", true),
            ("within(address, '10.1.2.3')", true),
            ("within(address, '192.168.0.0/16')", false),
            (
                "time.weekday == 0 && time.hour == 12 && time.minute == 34",
                true,
            ),
            ("time.unix < 1800000000", true),
        ] {
            assert_eq!(holds(condition), Ok(expected), "{condition}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_an_error() {
        for condition in [
            "claims.environment == 'production'",
            "user",
            "1 / 0 == 1",
            "within(address, 'ten')",
            "within('nonsense', '0.0.0.0/0')",
            "!within('', '10.0.0.0/8')",
        ] {
            assert!(Condition::parse(condition).is_ok(), "{condition}");
            assert!(holds(condition).is_err(), "{condition}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_at_once() {
        let long = "true || ".repeat(400) + "true";
        for condition in ["", "user ==", "usr == 'alice'", "claim.ref == 'x'", &long] {
            assert!(Condition::parse(condition).is_err(), "{condition}");
        }
    }
}
