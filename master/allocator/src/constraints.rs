//! Offer constraints: which agents a framework wants to see at all, by attributes, host name, region and zone.
//!
//! Constraints are checked and compiled once, when a framework subscribes or updates itself; a cycle then only asks
//! [`OfferConstraints::exclude`]. An agent is seen in a role when the role has no constraints, or when all
//! constraints of at least one of its groups hold.
//!
//! Predicates on text hold for attributes that are not text: schedulers that compare numbers look at such attributes
//! themselves. Expressions match the whole text. They are bounded by the size of the compiled program, as RE2 bounds
//! them; letters beyond ASCII count as several bytes in `.` and in classes.

use std::collections::{BTreeMap, BTreeSet};

use mesos_proto::v0::mesos::Attribute;
use mesos_proto::v0::mesos::value::Type as ValueType;
use mesos_proto::v0::scheduler::attribute_constraint as proto;
use mesos_proto::v0::scheduler::attribute_constraint::predicate::Predicate as ProtoPredicate;
use mesos_proto::v0::scheduler::attribute_constraint::selector::{PseudoattributeType, Selector as ProtoSelector};
use regex::bytes::{Regex, RegexBuilder};
use regex_automata::nfa::thompson::{Compiler, Config, WhichCaptures};
use regex_automata::util::syntax;

use crate::api::AgentInfo;

/// Bytes that RE2 accounts for one instruction of a program.
const RE2_INSTRUCTION_BYTES: usize = 16;

/// Bounds of expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpressionLimits {
    /// Memory in bytes (`--offer_constraints_re2_max_mem`); two thirds of it are for the program.
    pub memory_bytes: usize,
    /// Instructions of the program (`--offer_constraints_re2_max_program_size`).
    pub program_size: usize,
}

impl Default for ExpressionLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl ExpressionLimits {
    /// The defaults of the flags.
    pub const DEFAULT: Self = Self {
        memory_bytes: 4096,
        program_size: 100,
    };

    fn instructions(self) -> usize {
        self.program_size.min(self.memory_bytes * 2 / 3 / RE2_INSTRUCTION_BYTES)
    }
}

/// Why offer constraints are not accepted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConstraintError {
    /// A role has constraints that the framework is not subscribed to.
    #[error("offer constraints name the role '{0}', which the framework is not subscribed to")]
    ForeignRole(String),
    /// A role has no group.
    #[error("offer constraints of role '{0}' have no group; leave the role out to see all agents")]
    NoGroups(String),
    /// A group is empty.
    #[error("offer constraints of role '{0}' have a group without constraints")]
    EmptyGroup(String),
    /// A constraint selects nothing.
    #[error("an offer constraint of role '{0}' selects neither an attribute nor a known pseudo attribute")]
    NoSelector(String),
    /// A constraint tests nothing.
    #[error("an offer constraint of role '{0}' has no predicate")]
    NoPredicate(String),
    /// An expression cannot be compiled.
    #[error("offer constraints of role '{role}' have the invalid expression '{expression}'")]
    Expression {
        /// The role.
        role: String,
        /// The expression.
        expression: String,
        /// What is wrong with it.
        #[source]
        source: Box<regex::Error>,
    },
    /// An expression compiles to a program that is too large.
    #[error("the expression '{expression}' of role '{role}' takes {size} instructions, at most {limit} are allowed")]
    TooLarge {
        /// The role.
        role: String,
        /// The expression.
        expression: String,
        /// Instructions of the program.
        size: usize,
        /// Instructions allowed.
        limit: usize,
    },
}

/// Checked and compiled offer constraints of a framework.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OfferConstraints {
    groups_by_role: BTreeMap<String, Vec<Vec<Constraint>>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Constraint {
    selector: Selector,
    predicate: Predicate,
}

#[derive(Clone, Debug, PartialEq)]
enum Selector {
    Attribute(String),
    Hostname,
    Region,
    Zone,
}

#[derive(Clone, Debug, PartialEq)]
enum Predicate {
    Exists,
    NotExists,
    TextEquals(String),
    TextNotEquals(String),
    TextMatches(Expression),
    TextNotMatches(Expression),
}

#[derive(Clone, Debug)]
struct Expression(Regex);

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// What a selector finds on an agent.
enum Selected<'a> {
    Nothing,
    Text(&'a str),
    /// An attribute that is not text.
    Other,
}

impl OfferConstraints {
    /// Checks and compiles the constraints of a framework with these roles.
    ///
    /// # Errors
    ///
    /// Names the role, and what of its constraints is not accepted.
    pub fn compile(
        constraints: &mesos_proto::v0::scheduler::OfferConstraints,
        roles: &BTreeSet<String>,
        limits: ExpressionLimits,
    ) -> Result<Self, ConstraintError> {
        let mut groups_by_role = BTreeMap::new();
        // Sorted, so that of several mistakes always the same one is told.
        let sorted: BTreeMap<_, _> = constraints.role_constraints.iter().collect();
        for (role, constraints) in sorted {
            if !roles.contains(role) {
                return Err(ConstraintError::ForeignRole(role.clone()));
            }
            if constraints.groups.is_empty() {
                return Err(ConstraintError::NoGroups(role.clone()));
            }
            let mut groups = Vec::new();
            for group in &constraints.groups {
                if group.attribute_constraints.is_empty() {
                    return Err(ConstraintError::EmptyGroup(role.clone()));
                }
                let compiled = group.attribute_constraints.iter().map(|constraint| {
                    let selector = compile_selector(role, &constraint.selector)?;
                    let predicate = compile_predicate(role, &constraint.predicate, limits)?;
                    Ok(Constraint { selector, predicate })
                });
                groups.push(compiled.collect::<Result<Vec<_>, ConstraintError>>()?);
            }
            groups_by_role.insert(role.clone(), groups);
        }
        Ok(Self { groups_by_role })
    }

    /// Whether the agent is not to be offered in the role.
    #[must_use]
    pub fn exclude(&self, role: &str, agent: &AgentInfo) -> bool {
        let Some(groups) = self.groups_by_role.get(role) else {
            return false;
        };
        !groups
            .iter()
            .any(|group| group.iter().all(|constraint| constraint.holds(agent)))
    }
}

impl Constraint {
    fn holds(&self, agent: &AgentInfo) -> bool {
        let selected = self.selector.select(agent);
        match &self.predicate {
            Predicate::Exists => !matches!(selected, Selected::Nothing),
            Predicate::NotExists => matches!(selected, Selected::Nothing),
            Predicate::TextEquals(value) => selected.passes(|text| text == value, false),
            Predicate::TextNotEquals(value) => selected.passes(|text| text != value, true),
            Predicate::TextMatches(expression) => selected.passes(|text| expression.matches(text), false),
            Predicate::TextNotMatches(expression) => selected.passes(|text| !expression.matches(text), true),
        }
    }
}

impl Selected<'_> {
    /// Asks a test on text; what is there but no text passes, what is not there passes as `when_absent` says.
    fn passes(&self, test: impl Fn(&str) -> bool, when_absent: bool) -> bool {
        match self {
            Self::Nothing => when_absent,
            Self::Text(text) => test(text),
            Self::Other => true,
        }
    }
}

impl Expression {
    fn matches(&self, text: &str) -> bool {
        self.0.is_match(text.as_bytes())
    }
}

impl Selector {
    fn select<'a>(&self, agent: &'a AgentInfo) -> Selected<'a> {
        let text = |text: Option<&'a str>| text.map_or(Selected::Nothing, Selected::Text);
        match self {
            Self::Hostname => Selected::Text(&agent.hostname),
            Self::Region => text(agent.domain.as_ref().map(|domain| domain.region.as_str())),
            Self::Zone => text(agent.domain.as_ref().map(|domain| domain.zone.as_str())),
            // Of several attributes with one name the first counts.
            Self::Attribute(name) => match agent.attributes.iter().find(|attribute| attribute.name() == name) {
                None => Selected::Nothing,
                Some(attribute) => select_text(attribute),
            },
        }
    }
}

fn select_text(attribute: &Attribute) -> Selected<'_> {
    match attribute.type_.and_then(|kind| kind.enum_value().ok()) {
        Some(ValueType::TEXT) => Selected::Text(attribute.text.value()),
        Some(ValueType::SCALAR | ValueType::RANGES | ValueType::SET) | None => Selected::Other,
    }
}

fn compile_selector(role: &str, selector: &proto::Selector) -> Result<Selector, ConstraintError> {
    let missing = || ConstraintError::NoSelector(role.to_owned());
    match selector.selector.as_ref().ok_or_else(missing)? {
        ProtoSelector::AttributeName(name) => Ok(Selector::Attribute(name.clone())),
        ProtoSelector::PseudoattributeType(kind) => match kind.enum_value() {
            Ok(PseudoattributeType::HOSTNAME) => Ok(Selector::Hostname),
            Ok(PseudoattributeType::REGION) => Ok(Selector::Region),
            Ok(PseudoattributeType::ZONE) => Ok(Selector::Zone),
            Ok(PseudoattributeType::UNKNOWN) | Err(_) => Err(missing()),
        },
        _ => Err(missing()),
    }
}

fn compile_predicate(
    role: &str,
    predicate: &proto::Predicate,
    limits: ExpressionLimits,
) -> Result<Predicate, ConstraintError> {
    let missing = || ConstraintError::NoPredicate(role.to_owned());
    match predicate.predicate.as_ref().ok_or_else(missing)? {
        ProtoPredicate::Exists(_) => Ok(Predicate::Exists),
        ProtoPredicate::NotExists(_) => Ok(Predicate::NotExists),
        ProtoPredicate::TextEquals(test) => Ok(Predicate::TextEquals(test.value().to_owned())),
        ProtoPredicate::TextNotEquals(test) => Ok(Predicate::TextNotEquals(test.value().to_owned())),
        ProtoPredicate::TextMatches(test) => Ok(Predicate::TextMatches(expression(role, test.regex(), limits)?)),
        ProtoPredicate::TextNotMatches(test) => Ok(Predicate::TextNotMatches(expression(role, test.regex(), limits)?)),
        _ => Err(missing()),
    }
}

/// Compiles an expression that has to match a whole text.
fn expression(role: &str, text: &str, limits: ExpressionLimits) -> Result<Expression, ConstraintError> {
    let invalid = |source: regex::Error| ConstraintError::Expression {
        role: role.to_owned(),
        expression: text.to_owned(),
        source: Box::new(source),
    };
    // By itself first: an unbalanced parenthesis must not be completed by what is put around it.
    RegexBuilder::new(text).unicode(false).build().map_err(invalid)?;
    let size = program_size(text).unwrap_or(usize::MAX);
    if size > limits.instructions() {
        return Err(ConstraintError::TooLarge {
            role: role.to_owned(),
            expression: text.to_owned(),
            size,
            limit: limits.instructions(),
        });
    }
    let whole = format!(r"\A(?:{text})\z");
    RegexBuilder::new(&whole)
        .unicode(false)
        .build()
        .map(Expression)
        .map_err(invalid)
}

/// Instructions of the compiled expression; none when it exceeds what the compiler takes at all.
fn program_size(text: &str) -> Option<usize> {
    let mut compiler = Compiler::new();
    compiler.configure(Config::new().which_captures(WhichCaptures::None).utf8(false));
    compiler.syntax(syntax::Config::new().unicode(false).utf8(false));
    compiler.build(text).ok().map(|program| program.states().len())
}

#[cfg(test)]
mod tests;
