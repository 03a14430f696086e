//! Who may use an endpoint: firewall rules, authentication per realm, authorization per path.
//!
//! The server asks in this order and before it hands a request to its process. What a node did not configure passes:
//! without an authenticator for the realm of a route the principal is absent.
//!
//! Source: shared facts, `libprocess_wire.md` section 4.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{HeaderMap, Principal, Request, Response, StatusCode, header};

/// A future that the hooks of this module return.
pub type HookFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What an authenticator found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// The request comes from this principal.
    Granted(Principal),
    /// Nobody known: 401 with these challenges.
    Unauthorized {
        /// Values for `WWW-Authenticate`, such as `Basic realm="mesos-master-readonly"`.
        challenges: Vec<String>,
    },
    /// Known and refused: 403.
    Forbidden,
}

/// Finds out who sent a request.
pub trait Authenticator: Send + Sync {
    /// Judges a request by its headers.
    fn authenticate(&self, headers: &HeaderMap) -> HookFuture<Authentication>;
}

/// Says whether a principal may use an endpoint; `false` gives 403.
pub type EndpointAuthorizer = Arc<dyn Fn(&Request) -> HookFuture<bool> + Send + Sync>;

/// Refuses requests before anybody looks at them.
pub trait FirewallRule: Send + Sync {
    /// The reason for refusing, or nothing to let the request pass to the next rule.
    fn refuse(&self, request: &Request) -> Option<String>;
}

/// The one kind of rule that flags can set: paths that nobody may use.
#[derive(Clone, Debug, Default)]
pub struct DisabledEndpoints {
    paths: HashSet<String>,
}

impl DisabledEndpoints {
    /// A rule for exact request paths such as `/files/browse`.
    #[must_use]
    pub fn new(paths: impl IntoIterator<Item = String>) -> Self {
        Self {
            paths: paths.into_iter().collect(),
        }
    }
}

impl FirewallRule for DisabledEndpoints {
    fn refuse(&self, request: &Request) -> Option<String> {
        self.paths
            .contains(&request.path)
            .then(|| format!("The endpoint '{}' is disabled", request.path))
    }
}

/// The `Basic` scheme over a fixed set of credentials.
#[derive(Clone, Debug)]
pub struct BasicAuthenticator {
    realm: String,
    secrets: BTreeMap<String, String>,
}

impl BasicAuthenticator {
    /// An authenticator that knows `secrets` by principal.
    #[must_use]
    pub fn new(realm: impl Into<String>, secrets: BTreeMap<String, String>) -> Self {
        Self {
            realm: realm.into(),
            secrets,
        }
    }

    /// The value must be exactly `Basic BASE64`, the decoded text exactly two parts around one colon.
    fn judge(&self, headers: &HeaderMap) -> Authentication {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(decode_basic);
        let known = given.filter(|(principal, secret)| {
            self.secrets
                .get(principal)
                .is_some_and(|expected| same_bytes(expected.as_bytes(), secret.as_bytes()))
        });
        match known {
            Some((principal, _)) => Authentication::Granted(Principal {
                value: Some(principal),
                claims: BTreeMap::new(),
            }),
            None => Authentication::Unauthorized {
                challenges: vec![format!("Basic realm=\"{}\"", self.realm)],
            },
        }
    }
}

impl Authenticator for BasicAuthenticator {
    fn authenticate(&self, headers: &HeaderMap) -> HookFuture<Authentication> {
        Box::pin(ready(self.judge(headers)))
    }
}

fn decode_basic(value: &str) -> Option<(String, String)> {
    let encoded = value.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (principal, secret) = text.split_once(':')?;
    (!secret.contains(':')).then(|| (principal.to_owned(), secret.to_owned()))
}

/// Compares secrets in a time that tells nothing but their lengths.
fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// The access rules of one node; shared by all of its connections and changeable at any time.
#[derive(Default)]
pub struct AccessRules {
    authenticators: RwLock<HashMap<String, Arc<dyn Authenticator>>>,
    authorizers: RwLock<HashMap<String, EndpointAuthorizer>>,
    firewall: RwLock<Vec<Arc<dyn FirewallRule>>>,
}

impl AccessRules {
    /// Sets the authenticator of a realm, in place of an earlier one.
    pub fn set_authenticator(&self, realm: &str, authenticator: Arc<dyn Authenticator>) {
        let mut authenticators = self.authenticators.write().unwrap_or_else(PoisonError::into_inner);
        authenticators.insert(realm.to_owned(), authenticator);
    }

    /// Lets everybody into a realm again.
    pub fn remove_authenticator(&self, realm: &str) {
        self.authenticators
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(realm);
    }

    /// Sets who may use the endpoint at exactly this absolute path, such as `/metrics/snapshot`.
    pub fn set_endpoint_authorizer(&self, path: &str, authorizer: EndpointAuthorizer) {
        let mut authorizers = self.authorizers.write().unwrap_or_else(PoisonError::into_inner);
        authorizers.insert(path.to_owned(), authorizer);
    }

    /// Replaces the firewall's rules.
    pub fn set_firewall(&self, rules: Vec<Arc<dyn FirewallRule>>) {
        *self.firewall.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// The answer for a request that a rule refuses.
    pub(super) fn refuse_by_firewall(&self, request: &Request) -> Option<Response> {
        let rules = self.firewall.read().unwrap_or_else(PoisonError::into_inner);
        let reason = rules.iter().find_map(|rule| rule.refuse(request))?;
        Some(Response::text(StatusCode::FORBIDDEN, reason))
    }

    /// Finds out the principal, or the answer that ends the request.
    pub(super) async fn authenticate(
        &self,
        realm: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Option<Principal>, Response> {
        let Some(realm) = realm else {
            return Ok(None);
        };
        let authenticator = self
            .authenticators
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(realm)
            .map(Arc::clone);
        let Some(authenticator) = authenticator else {
            return Ok(None);
        };
        match authenticator.authenticate(headers).await {
            Authentication::Granted(principal) => Ok(Some(principal)),
            Authentication::Unauthorized { challenges } => Err(unauthorized(&challenges)),
            Authentication::Forbidden => Err(Response::text(StatusCode::FORBIDDEN, "403 Forbidden.")),
        }
    }

    /// Whether any endpoint has an authorizer; spares naming the endpoint when there is none.
    pub(super) fn has_authorizers(&self) -> bool {
        !self
            .authorizers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// Whether the authorizer of the endpoint, if there is one, lets the request pass.
    pub(super) async fn authorize(&self, endpoint: &str, request: &Request) -> bool {
        let authorizer = self
            .authorizers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(endpoint)
            .map(Arc::clone);
        match authorizer {
            Some(authorizer) => authorizer(request).await,
            None => true,
        }
    }
}

impl std::fmt::Debug for AccessRules {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AccessRules").finish_non_exhaustive()
    }
}

fn unauthorized(challenges: &[String]) -> Response {
    Response::text(StatusCode::UNAUTHORIZED, "401 Unauthorized.")
        .with_header("www-authenticate", &challenges.join(", "))
}

#[cfg(test)]
mod tests {
    use actix_http::header::HeaderValue;

    use super::*;

    fn authenticator() -> BasicAuthenticator {
        BasicAuthenticator::new(
            "mesos-master-readonly",
            BTreeMap::from([("ops".to_owned(), "opss".to_owned())]),
        )
    }

    fn judge(value: Option<&str>) -> Authentication {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(
                header::AUTHORIZATION,
                HeaderValue::from_str(value).expect("a header value"),
            );
        }
        authenticator().judge(&headers)
    }

    #[test]
    fn right_credentials_name_the_principal() {
        let principal = Principal {
            value: Some("ops".to_owned()),
            claims: BTreeMap::new(),
        };
        assert_eq!(judge(Some("Basic b3BzOm9wc3M=")), Authentication::Granted(principal));
    }

    #[test]
    fn everything_else_gets_the_challenge() {
        let challenges = vec!["Basic realm=\"mesos-master-readonly\"".to_owned()];
        let three_parts = format!("Basic {}", STANDARD.encode("ops:opss:more"));
        for value in [
            None,
            Some("Bearer x"),
            Some("Basic b3BzOnp6eg=="),
            Some("basic b3BzOm9wc3M="),
            Some("Basic  b3BzOm9wc3M="),
            Some("Basic b3BzOm9wc3M= x"),
            Some("Basic ***"),
            Some(three_parts.as_str()),
        ] {
            assert_eq!(
                judge(value),
                Authentication::Unauthorized {
                    challenges: challenges.clone()
                },
                "{value:?}"
            );
        }
    }

    #[test]
    fn disabled_endpoints_match_exact_paths() {
        let rules = AccessRules::default();
        rules.set_firewall(vec![Arc::new(DisabledEndpoints::new(["/files/browse".to_owned()]))]);
        let refused = |path: &str| {
            let request = Request::new(super::super::Method::GET, path);
            rules.refuse_by_firewall(&request).map(|response| response.status)
        };
        assert_eq!(refused("/files/browse"), Some(StatusCode::FORBIDDEN));
        assert_eq!(refused("/files/browse/x"), None);
        assert_eq!(refused("/files"), None);
    }
}
