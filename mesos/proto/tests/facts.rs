//! The compiled definitions are turned back into the tables they were made from; both must be equal, row by row.
//!
//! Descriptors keep messages, enums and fields apart, so rows are compared in declaration order within their owner
//! and kind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use protobuf::UnknownValueRef;
use protobuf::descriptor::field_descriptor_proto::{Label, Type};
use protobuf::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, ServiceDescriptorProto,
};
use protobuf::reflect::FileDescriptor;

const COLUMNS: [&str; 12] = [
    "kind",
    "package",
    "owner",
    "name",
    "number",
    "label",
    "type",
    "default",
    "deprecated",
    "oneof",
    "map",
    "options",
];

type Row = [String; COLUMNS.len()];

/// Number of the field option by which the storage interface marks secrets.
const CSI_SECRET: u32 = 1059;

fn tables() -> PathBuf {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/facts/protobuf"));
    assert!(
        path.is_dir(),
        "the protocol's tables are not there: {} (the shared folder belongs beside the checkout)",
        path.display()
    );
    path.to_path_buf()
}

fn read_table(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

fn expected(path: &Path) -> Vec<Row> {
    let mut lines = read_table(path).into_iter();
    assert_eq!(
        lines.next().as_deref(),
        Some(&COLUMNS.map(str::to_owned)[..]),
        "{}",
        path.display()
    );
    lines
        .map(|mut line| {
            line.resize(COLUMNS.len(), String::new());
            line.try_into().expect("as many cells as columns")
        })
        .collect()
}

/// Collects the rows of one file.
struct Tabulator<'a> {
    file: &'a FileDescriptorProto,
    rows: Vec<Row>,
}

impl Tabulator<'_> {
    fn tabulate(mut self) -> Vec<Row> {
        for message in &self.file.message_type {
            self.message("", message);
        }
        for kind in &self.file.enum_type {
            self.enumeration("", kind);
        }
        for field in &self.file.extension {
            self.field("extension", field.extendee().trim_start_matches('.'), field, None);
        }
        for service in &self.file.service {
            self.service(service);
        }
        self.rows
    }

    fn push(&mut self, kind: &str, owner: &str, name: &str, rest: [String; 8]) {
        let [number, label, type_name, default, deprecated, oneof, map, options] = rest;
        let package = self.file.package().to_owned();
        self.rows.push([
            kind.to_owned(),
            package,
            owner.to_owned(),
            name.to_owned(),
            number,
            label,
            type_name,
            default,
            deprecated,
            oneof,
            map,
            options,
        ]);
    }

    fn message(&mut self, owner: &str, message: &DescriptorProto) {
        let mut cells: [String; 8] = Default::default();
        cells[4] = flag(message.options.deprecated());
        self.push("message", owner, message.name(), cells);
        let inside = join(owner, message.name());
        for field in &message.field {
            self.field("field", &inside, field, Some(message));
        }
        for nested in message.nested_type.iter().filter(|nested| !nested.options.map_entry()) {
            self.message(&inside, nested);
        }
        for kind in &message.enum_type {
            self.enumeration(&inside, kind);
        }
        assert!(
            message.extension.is_empty() && message.extension_range.is_empty() && message.reserved_range.is_empty()
        );
    }

    fn enumeration(&mut self, owner: &str, kind: &EnumDescriptorProto) {
        let mut cells: [String; 8] = Default::default();
        cells[4] = flag(kind.options.deprecated());
        if kind.options.has_allow_alias() {
            cells[7] = format!("allow_alias={}", kind.options.allow_alias());
        }
        self.push("enum", owner, kind.name(), cells);
        let inside = join(owner, kind.name());
        for value in &kind.value {
            let mut cells: [String; 8] = Default::default();
            cells[0] = value.number().to_string();
            cells[4] = flag(value.options.deprecated());
            self.push("value", &inside, value.name(), cells);
        }
    }

    fn field(&mut self, kind: &str, owner: &str, field: &FieldDescriptorProto, message: Option<&DescriptorProto>) {
        let entry = message.and_then(|message| map_entry(message, field));
        let label = match field.label() {
            Label::LABEL_OPTIONAL => "optional",
            Label::LABEL_REQUIRED => "required",
            Label::LABEL_REPEATED => "repeated",
        };
        let type_name = match entry {
            Some(entry) => format!("{},{}", type_name(&entry.field[0]), type_name(&entry.field[1])),
            None => type_name(field),
        };
        let oneof = match message {
            Some(message) if field.has_oneof_index() => {
                let index = usize::try_from(field.oneof_index()).expect("not negative");
                message.oneof_decl[index].name().to_owned()
            }
            _ => String::new(),
        };
        let map = if entry.is_some() {
            "map".to_owned()
        } else {
            String::new()
        };
        let cells = [
            field.number().to_string(),
            label.to_owned(),
            type_name,
            default_value(field),
            flag(field.options.deprecated()),
            oneof,
            map,
            field_options(field),
        ];
        self.push(kind, owner, field.name(), cells);
    }

    fn service(&mut self, service: &ServiceDescriptorProto) {
        self.push("service", "", service.name(), Default::default());
        for method in &service.method {
            let mut cells: [String; 8] = Default::default();
            let name = |text: &str| text.trim_start_matches('.').to_owned();
            cells[2] = format!("{},{}", name(method.input_type()), name(method.output_type()));
            let streams = [
                ("client_streaming", method.client_streaming()),
                ("server_streaming", method.server_streaming()),
            ];
            let streams = streams.iter().filter(|(_, on)| *on).map(|(name, _)| *name);
            cells[7] = streams.collect::<Vec<_>>().join(";");
            self.push("method", service.name(), method.name(), cells);
        }
    }
}

fn join(owner: &str, name: &str) -> String {
    if owner.is_empty() {
        name.to_owned()
    } else {
        format!("{owner}.{name}")
    }
}

fn flag(on: bool) -> String {
    if on { "yes".to_owned() } else { String::new() }
}

fn map_entry<'a>(message: &'a DescriptorProto, field: &FieldDescriptorProto) -> Option<&'a DescriptorProto> {
    let name = field.type_name().rsplit('.').next()?;
    message
        .nested_type
        .iter()
        .find(|nested| nested.options.map_entry() && nested.name() == name)
}

fn type_name(field: &FieldDescriptorProto) -> String {
    match field.type_() {
        Type::TYPE_MESSAGE | Type::TYPE_ENUM => field.type_name().trim_start_matches('.').to_owned(),
        scalar => format!("{scalar:?}").trim_start_matches("TYPE_").to_lowercase(),
    }
}

fn default_value(field: &FieldDescriptorProto) -> String {
    match field.type_() {
        Type::TYPE_STRING if field.has_default_value() => format!("\"{}\"", field.default_value()),
        _ => field.default_value().to_owned(),
    }
}

fn field_options(field: &FieldDescriptorProto) -> String {
    let mut options = Vec::new();
    assert!(!field.options.has_packed(), "no table has packed");
    for (number, value) in field.options.special_fields.unknown_fields() {
        match (number, value) {
            (CSI_SECRET, UnknownValueRef::Varint(value)) => {
                options.push(format!("(csi.v1.csi_secret)={}", value != 0));
            }
            other => panic!("{} has the option {other:?}", field.name()),
        }
    }
    options.join(";")
}

/// Rows by kind and owner, in declaration order.
fn grouped(rows: Vec<Row>) -> BTreeMap<(String, String), Vec<Row>> {
    let mut groups: BTreeMap<(String, String), Vec<Row>> = BTreeMap::new();
    for row in rows {
        groups.entry((row[0].clone(), row[2].clone())).or_default().push(row);
    }
    groups
}

#[test]
fn every_table_is_rebuilt_from_the_compiled_definitions() {
    let folder = tables();
    let mut differences = Vec::new();
    let mut rows = 0;
    for (import, file) in mesos_proto::files() {
        let wanted = expected(&folder.join(import).with_extension("tsv"));
        rows += wanted.len();
        let found = Tabulator {
            file: file.proto(),
            rows: Vec::new(),
        }
        .tabulate();
        if found.len() != wanted.len() {
            differences.push(format!(
                "{import}: {} rows, the table has {}",
                found.len(),
                wanted.len()
            ));
        }
        let (wanted, found) = (grouped(wanted), grouped(found));
        for group in wanted.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
            let empty = Vec::new();
            let (wanted, found) = (wanted.get(group).unwrap_or(&empty), found.get(group).unwrap_or(&empty));
            for index in 0..wanted.len().max(found.len()) {
                if wanted.get(index) != found.get(index) {
                    differences.push(format!(
                        "{import}:\n  table    {:?}\n  compiled {:?}",
                        wanted.get(index),
                        found.get(index)
                    ));
                }
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{} differences\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(rows > 5_000, "{rows} rows were compared");
}

fn file_options(file: &FileDescriptorProto) -> BTreeSet<String> {
    let options = &file.options;
    let mut found = BTreeSet::new();
    let texts = [
        ("go_package", options.has_go_package(), options.go_package()),
        ("java_package", options.has_java_package(), options.java_package()),
        (
            "java_outer_classname",
            options.has_java_outer_classname(),
            options.java_outer_classname(),
        ),
    ];
    found.extend(
        texts
            .iter()
            .filter(|(_, present, _)| *present)
            .map(|(name, _, text)| format!("{name}={text}")),
    );
    if options.has_cc_enable_arenas() {
        found.insert(format!("cc_enable_arenas={}", options.cc_enable_arenas()));
    }
    found
}

fn list(cell: &str) -> Vec<&str> {
    cell.split(';').filter(|part| !part.is_empty()).collect()
}

#[test]
fn every_listed_file_is_compiled_with_its_syntax_imports_and_options() {
    let files: BTreeMap<&str, FileDescriptor> = mesos_proto::files().into_iter().collect();
    let table = read_table(&tables().join("files.tsv"));
    let listed: BTreeSet<&str> = table[1..].iter().map(|row| row[1].as_str()).collect();
    assert_eq!(listed, files.keys().copied().collect());
    for row in &table[1..] {
        let file = files[row[1].as_str()].proto();
        let syntax = if file.syntax().is_empty() {
            "proto2"
        } else {
            file.syntax()
        };
        assert_eq!(
            (syntax, file.package()),
            (row[3].as_str(), row[4].as_str()),
            "{}",
            row[1]
        );
        assert_eq!(file.dependency, list(&row[5]), "{}", row[1]);
        let options: BTreeSet<String> = list(&row[6]).into_iter().map(str::to_owned).collect();
        assert_eq!(file_options(file), options, "{}", row[1]);
        let count = |kind: &str| {
            let rows = Tabulator { file, rows: Vec::new() }.tabulate();
            rows.iter().filter(|row| row[0] == kind).count().to_string()
        };
        let counts = ["message", "field", "enum", "value"].map(count);
        assert_eq!(counts[..], row[7..11], "{}", row[1]);
    }
}
