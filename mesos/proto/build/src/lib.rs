//! Code generation shared by the build scripts of the `mesos-proto-*` crates.
//!
//! The generator names a Rust module after the base name of its file and refers to imports as
//! `super::BASE_NAME`. Several Mesos files share a base name (`state.proto`, `spec.proto`), so every group of
//! files with distinct names is generated into a folder of its own; the crate roots then build one module tree a
//! package, where `super::BASE_NAME` means the right neighbour.

use std::path::{Path, PathBuf};
use std::{env, fs};

use protobuf_codegen::{Codegen, Customize};

/// One output folder and the files generated into it.
///
/// `folder` is created under `OUT_DIR`; `files` are import paths as listed in the protocol's file table, with
/// distinct base names.
pub struct Group<'a> {
    /// Folder below `OUT_DIR`.
    pub folder: &'a str,
    /// Import paths of the definition files.
    pub files: &'a [&'a str],
}

/// Generates Rust code for each group from the definition files in `definitions`.
///
/// # Panics
///
/// Panics when a definition file cannot be read or parsed: a build script has no better way to stop a build.
pub fn generate(definitions: &Path, groups: &[Group<'_>]) {
    println!("cargo:rerun-if-changed={}", definitions.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts"));
    for group in groups {
        let folder = out.join(group.folder);
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("cannot create {}: {error}", folder.display()));
        Codegen::new()
            .pure()
            .include(definitions)
            .inputs(group.files.iter().map(|file| definitions.join(file)))
            .customize(Customize::default().gen_mod_rs(false))
            .out_dir(&folder)
            .run()
            .unwrap_or_else(|error| panic!("cannot generate {}: {error}", group.folder));
        for file in fs::read_dir(&folder).expect("the folder was just written") {
            strip_inner_attributes(&file.expect("the folder was just written").path());
        }
    }
}

/// Removes file-level attributes, which `include!` does not accept.
fn strip_inner_attributes(file: &Path) {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
    let kept: String = text
        .lines()
        .filter(|line| !line.starts_with("#![") && !line.starts_with("//!"))
        .flat_map(|line| [line, "\n"])
        .collect();
    fs::write(file, kept).unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
}
