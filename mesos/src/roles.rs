//! Role names: their grammar and their hierarchy.
//!
//! A role is `*` (the default role) or one or more components joined by `/`. A role `a/b` is a *strict sub-role* of
//! `a`. Everything that reads roles from a framework, an operator or a flag validates them here first.
//!
//! Source: shared facts, `libprocess_wire.md` section 12.

/// The default role, that of unreserved resources.
pub const DEFAULT_ROLE: &str = "*";

/// Why a text is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    /// The text is empty.
    #[error("a role cannot be empty; the default role is written `*`")]
    Empty,
    /// The role begins with a slash.
    #[error("role `{role}` begins with a slash")]
    LeadingSlash {
        /// The text as given.
        role: String,
    },
    /// The role ends with a slash.
    #[error("role `{role}` ends with a slash")]
    TrailingSlash {
        /// The text as given.
        role: String,
    },
    /// Two slashes follow each other.
    #[error("role `{role}` has two slashes in a row")]
    DoubledSlash {
        /// The text as given.
        role: String,
    },
    /// A component is `.`, `..` or `*`.
    #[error("role `{role}` has the component `{component}`, which is reserved")]
    ReservedComponent {
        /// The text as given.
        role: String,
        /// The offending component.
        component: String,
    },
    /// A component begins with `-`.
    #[error("role `{role}` has the component `{component}`, which begins with a dash")]
    LeadingDash {
        /// The text as given.
        role: String,
        /// The offending component.
        component: String,
    },
    /// A component has a blank, a tab, a line end or a backspace.
    #[error("role {role:?} has white space or a backspace in it")]
    ForbiddenCharacter {
        /// The text as given.
        role: String,
    },
}

/// Checks that `role` is a role name.
///
/// # Errors
///
/// Names the first rule that the text breaks.
pub fn validate(role: &str) -> Result<(), RoleError> {
    if role == DEFAULT_ROLE {
        return Ok(());
    }
    let owned = || role.to_owned();
    if role.is_empty() {
        return Err(RoleError::Empty);
    }
    if role.starts_with('/') {
        return Err(RoleError::LeadingSlash { role: owned() });
    }
    if role.ends_with('/') {
        return Err(RoleError::TrailingSlash { role: owned() });
    }
    for component in role.split('/') {
        match component {
            "" => return Err(RoleError::DoubledSlash { role: owned() }),
            "." | ".." | "*" => {
                return Err(RoleError::ReservedComponent {
                    role: owned(),
                    component: component.to_owned(),
                });
            }
            _ if component.starts_with('-') => {
                return Err(RoleError::LeadingDash {
                    role: owned(),
                    component: component.to_owned(),
                });
            }
            _ if component.contains(is_forbidden) => return Err(RoleError::ForbiddenCharacter { role: owned() }),
            _ => {}
        }
    }
    Ok(())
}

fn is_forbidden(character: char) -> bool {
    matches!(character, '\u{8}' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

/// Whether `role` lies strictly below `ancestor`: `a/b` below `a`, but neither `a` nor `ab`.
#[must_use]
pub fn is_strict_subrole_of(role: &str, ancestor: &str) -> bool {
    role.len() > ancestor.len() && role.starts_with(ancestor) && role.as_bytes()[ancestor.len()] == b'/'
}

/// The roles above `role`, nearest first: `a/b`, `a` for `a/b/c`.
pub fn ancestors(role: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent(role), |above| parent(above))
}

/// The role right above `role`; `None` for a role of one component.
#[must_use]
pub fn parent(role: &str) -> Option<&str> {
    role.rfind('/').map(|slash| &role[..slash])
}

/// Parses a list of roles separated by commas, as `--roles` has it.
///
/// # Errors
///
/// Gives the error of the first text that is no role.
pub fn parse_list(text: &str) -> Result<Vec<String>, RoleError> {
    text.split(',')
        .map(|role| {
            validate(role)?;
            Ok(role.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_roles_pass() {
        for role in ["*", "a", "a/b", "dev-ops/x.y", "role_1", "ünïcode", "a*"] {
            assert_eq!(validate(role), Ok(()), "{role}");
        }
    }

    #[test]
    fn each_rule_has_its_own_error() {
        let role = |text: &str| text.to_owned();
        assert_eq!(validate(""), Err(RoleError::Empty));
        assert_eq!(validate("/a"), Err(RoleError::LeadingSlash { role: role("/a") }));
        assert_eq!(validate("a/"), Err(RoleError::TrailingSlash { role: role("a/") }));
        assert_eq!(validate("a//b"), Err(RoleError::DoubledSlash { role: role("a//b") }));
        for component in [".", "..", "*"] {
            let text = format!("a/{component}");
            assert!(
                matches!(validate(&text), Err(RoleError::ReservedComponent { .. })),
                "{text}"
            );
        }
        assert!(matches!(validate("-a"), Err(RoleError::LeadingDash { .. })));
        assert!(matches!(validate("a/-b"), Err(RoleError::LeadingDash { .. })));
        for text in ["a b", "a\tb", "a\u{8}", "a\nb", "a\u{b}", "a\u{c}", "a\r"] {
            assert!(
                matches!(validate(text), Err(RoleError::ForbiddenCharacter { .. })),
                "{text:?}"
            );
        }
    }

    #[test]
    fn hierarchy_follows_the_slashes() {
        assert!(is_strict_subrole_of("a/b", "a"));
        assert!(is_strict_subrole_of("a/b/c", "a"));
        assert!(!is_strict_subrole_of("ab", "a"));
        assert!(!is_strict_subrole_of("a", "a"));
        assert!(!is_strict_subrole_of("a", "a/b"));
        assert_eq!(ancestors("a/b/c").collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!(ancestors("a").count(), 0);
    }
}
