//! The target that the variable `TARGET` names, under libFuzzer.

#![no_main]

use std::{env, sync::LazyLock};

static CHECK: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = env::var("TARGET").expect("the variable TARGET names a target of src/fuzz.rs");
    let target = keytile::fuzz::TARGETS.iter().find(|(target, _)| *target == name);
    target.unwrap_or_else(|| panic!("there is no target {name}")).1
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| CHECK(input));
