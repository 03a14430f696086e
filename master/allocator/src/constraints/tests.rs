//! Offer constraints on attributes, one rule a test.

use mesos_proto::v0::scheduler::offer_constraints::RoleConstraints;
use mesos_proto::v0::scheduler::offer_constraints::role_constraints::Group;
use mesos_proto::v0::scheduler::{AttributeConstraint, OfferConstraints as Proto};
use protobuf::{EnumOrUnknown, MessageField};

use super::*;
use crate::api::FaultDomain;

fn agent() -> AgentInfo {
    let mut rack = Attribute::new();
    rack.set_name("rack".to_owned());
    rack.set_type(ValueType::TEXT);
    rack.text.mut_or_insert_default().set_value("r7".to_owned());
    let mut weight = Attribute::new();
    weight.set_name("weight".to_owned());
    weight.set_type(ValueType::SCALAR);
    weight.scalar.mut_or_insert_default().set_value(3.0);
    AgentInfo {
        hostname: "node-12.example".to_owned(),
        domain: Some(FaultDomain {
            region: "north".to_owned(),
            zone: "n1".to_owned(),
        }),
        attributes: vec![rack, weight],
        ..AgentInfo::default()
    }
}

/// `SELECTOR PREDICATE [VALUE]`, such as `rack = r7`, `@hostname ~ node-.*`, `gpu exists`.
fn constraint(text: &str) -> AttributeConstraint {
    let mut words = text.splitn(3, ' ');
    let (name, test, value) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or(""));
    let mut constraint = AttributeConstraint::new();
    let selector = constraint.selector.mut_or_insert_default();
    selector.selector = Some(match name {
        "@hostname" => ProtoSelector::PseudoattributeType(EnumOrUnknown::new(PseudoattributeType::HOSTNAME)),
        "@region" => ProtoSelector::PseudoattributeType(EnumOrUnknown::new(PseudoattributeType::REGION)),
        "@zone" => ProtoSelector::PseudoattributeType(EnumOrUnknown::new(PseudoattributeType::ZONE)),
        "@unknown" => ProtoSelector::PseudoattributeType(EnumOrUnknown::from_i32(9)),
        name => ProtoSelector::AttributeName(name.to_owned()),
    });
    let mut predicate = proto::Predicate::new();
    match test {
        "exists" => predicate.set_exists(proto::predicate::Exists::new()),
        "absent" => predicate.set_not_exists(proto::predicate::NotExists::new()),
        "=" => predicate.mut_text_equals().set_value(value.to_owned()),
        "!=" => predicate.mut_text_not_equals().set_value(value.to_owned()),
        "~" => predicate.mut_text_matches().set_regex(value.to_owned()),
        "!~" => predicate.mut_text_not_matches().set_regex(value.to_owned()),
        _ => {}
    }
    constraint.predicate = MessageField::some(predicate);
    constraint
}

fn compile(groups: &[&[&str]]) -> Result<OfferConstraints, ConstraintError> {
    let mut role = RoleConstraints::new();
    for texts in groups {
        let mut group = Group::new();
        group.attribute_constraints = texts.iter().map(|text| constraint(text)).collect();
        role.groups.push(group);
    }
    let mut constraints = Proto::new();
    constraints.role_constraints.insert("r".to_owned(), role);
    OfferConstraints::compile(
        &constraints,
        &BTreeSet::from(["r".to_owned()]),
        ExpressionLimits::default(),
    )
}

#[test]
fn every_predicate_on_every_kind_of_value() {
    // What holds for the text attribute, the number, and the attribute that is not there.
    for (test, text, number, absent) in [
        ("exists", true, true, false),
        ("absent", false, false, true),
        ("= r7", true, true, false),
        ("= r8", false, true, false),
        ("!= r7", false, true, true),
        ("!= r8", true, true, true),
        ("~ r[0-9]", true, true, false),
        ("~ [0-9]", false, true, false),
        ("!~ r[0-9]", false, true, true),
        ("!~ [0-9]", true, true, true),
    ] {
        for (name, expected) in [("rack", text), ("weight", number), ("nothing", absent)] {
            let constraints = compile(&[&[&format!("{name} {test}")]]).unwrap();
            assert_eq!(constraints.exclude("r", &agent()), !expected, "{name} {test}");
        }
    }
}

#[test]
fn pseudo_attributes_are_host_and_domain() {
    for (text, holds) in [
        ("@hostname ~ node-.*", true),
        ("@region = north", true),
        ("@zone = n2", false),
        ("@zone exists", true),
    ] {
        assert_eq!(compile(&[&[text]]).unwrap().exclude("r", &agent()), !holds, "{text}");
    }
    let homeless = AgentInfo {
        domain: None,
        ..agent()
    };
    assert!(compile(&[&["@region exists"]]).unwrap().exclude("r", &homeless));
}

#[test]
fn groups_are_alternatives_and_constraints_add_up() {
    let constraints = compile(&[&["rack = r8"], &["rack = r7", "@zone = n1"]]).unwrap();
    assert!(!constraints.exclude("r", &agent()));
    assert!(compile(&[&["rack = r7", "@zone = n2"]]).unwrap().exclude("r", &agent()));
    assert!(
        !constraints.exclude("other", &agent()),
        "a role without constraints sees all"
    );
}

#[test]
fn mistakes_are_refused_with_their_place() {
    assert_eq!(compile(&[]), Err(ConstraintError::NoGroups("r".to_owned())));
    assert_eq!(compile(&[&[]]), Err(ConstraintError::EmptyGroup("r".to_owned())));
    assert_eq!(
        compile(&[&["@unknown exists"]]),
        Err(ConstraintError::NoSelector("r".to_owned()))
    );
    assert_eq!(
        compile(&[&["rack nothing"]]),
        Err(ConstraintError::NoPredicate("r".to_owned()))
    );
    assert!(matches!(
        compile(&[&["rack ~ a)(b"]]),
        Err(ConstraintError::Expression { .. })
    ));
    let mut foreign = Proto::new();
    foreign.role_constraints.insert("s".to_owned(), RoleConstraints::new());
    let roles = BTreeSet::from(["r".to_owned()]);
    let result = OfferConstraints::compile(&foreign, &roles, ExpressionLimits::default());
    assert_eq!(result, Err(ConstraintError::ForeignRole("s".to_owned())));
}

#[test]
fn large_expressions_are_refused() {
    for small in ["foo", "rack-[0-9]+", "(a|b|c)*", r"node-\d{1,3}\.example\.(com|org)"] {
        assert!(compile(&[&[&format!("rack ~ {small}")]]).is_ok(), "{small}");
    }
    for large in ["a{100}", "(foo|bar){50}", "((a{10}){10}){10}"] {
        let result = compile(&[&[&format!("rack ~ {large}")]]);
        assert!(
            matches!(result, Err(ConstraintError::TooLarge { limit: 100, .. })),
            "{large}: {result:?}"
        );
    }
}
