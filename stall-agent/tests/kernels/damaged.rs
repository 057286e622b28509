//! BTF that is damaged or unheard of: one clear error or an absent field, never a panic or an endless loop.

use serde_json::Value;
use stall_agent::kernel::support::{self, SupportError};

use crate::model::{INT, PTR, STRUCT, TYPEDEF, Type, Types, UNION};
use crate::{fixtures, offsets};

fn recent() -> Types {
    let fixtures = fixtures();
    let (_, bytes) = fixtures
        .iter()
        .find(|(name, _)| name.starts_with("6.12"))
        .unwrap();
    Types::read(bytes)
}

fn error(types: &Types) -> String {
    support::facts_of(&types.write()).unwrap_err().to_string()
}

fn offset(types: &Types, field: &str) -> Value {
    offsets(&support::facts_of(&types.write()).unwrap())[field].clone()
}

#[test]
fn a_required_field_that_is_missing_is_named() {
    let mut types = recent();
    types
        .named(STRUCT, "request")
        .parts
        .retain(|(name, _)| name != "cmd_flags");
    assert_eq!(
        error(&types),
        "this kernel's BTF lacks request.cmd_flags, which the programs need"
    );
}

#[test]
fn a_field_of_another_size_is_absent() {
    let mut types = recent();
    let byte = types.add(Type {
        rest: vec![8],
        ..Type::new(INT, "char", 1)
    });
    types.named(STRUCT, "request").member("start_time_ns")[0] = byte;
    assert_eq!(offset(&types, "request_start_time_ns"), Value::Null);
    types.named(STRUCT, "request").member("q")[0] = byte;
    assert!(error(&types).contains("lacks request.q,"));
}

#[test]
fn a_field_in_an_anonymous_union_is_found() {
    let mut types = recent();
    let before = offset(&types, "request_data_len");
    let [inner, at] = types.named(STRUCT, "request").member("__data_len")[..] else {
        panic!("two words")
    };
    let mut union = Type::new(UNION, "", 4);
    union.parts = vec![("__data_len".to_owned(), vec![inner, 0])];
    let union = types.add(union);
    let request = types.named(STRUCT, "request");
    request.parts.retain(|(name, _)| name != "__data_len");
    request.parts.push((String::new(), vec![union, at]));
    assert_eq!(offset(&types, "request_data_len"), before);
}

#[test]
fn a_bitfield_is_absent() {
    let mut types = recent();
    let request = types.named(STRUCT, "request");
    request.kind_flag = true;
    request.member("start_time_ns")[1] |= 3 << 24;
    assert_eq!(offset(&types, "request_start_time_ns"), Value::Null);
}

#[test]
fn a_bitfield_that_is_required_is_missing() {
    let mut types = recent();
    let request = types.named(STRUCT, "request");
    request.kind_flag = true;
    request.member("rq_flags")[1] |= 3 << 24;
    assert!(error(&types).contains("lacks request.rq_flags,"));
}

#[test]
fn split_btf_has_nothing_without_its_base() {
    // The names of a module's types lie behind those of the kernel, which are not in its file.
    let split = recent().write_behind(3 << 20);
    let refused = support::facts_of(&split).unwrap_err().to_string();
    assert!(
        refused.contains("lacks request.q, request.cmd_flags"),
        "{refused}"
    );
}

#[test]
fn loops_of_types_end() {
    let mut types = recent();
    let next = types.0.len() as u32 + 1;
    types.add(Type::new(TYPEDEF, "round", next + 1));
    types.add(Type::new(TYPEDEF, "and_round", next));
    types.named(STRUCT, "request").member("q")[0] = next;
    assert!(error(&types).contains("lacks request.q,"));
    let mut nested = Type::new(STRUCT, "", 8);
    nested.parts = vec![(String::new(), vec![next + 2, 0])];
    assert_eq!(types.add(nested), next + 2);
    let request = types.named(STRUCT, "request");
    request.parts.insert(0, (String::new(), vec![next + 2, 0]));
    assert!(error(&types).contains("lacks request.q,"));
}

#[test]
fn a_structure_that_contains_itself_many_times_does_not_take_for_ever() {
    let mut types = recent();
    let own = types.0.len() as u32 + 1;
    let mut nested = Type::new(STRUCT, "", 8);
    nested.parts = vec![(String::new(), vec![own, 0]); 8];
    assert_eq!(types.add(nested), own);
    types
        .named(STRUCT, "request")
        .parts
        .insert(0, (String::new(), vec![own, 0]));
    let started = std::time::Instant::now();
    let _ = support::facts_of(&types.write());
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn offsets_that_overflow_do_not_panic() {
    let mut types = recent();
    let cgroup = types.named(STRUCT, "blkcg");
    cgroup.member("css")[1] = 0xffff_fff8;
    let _ = support::facts_of(&types.write());
    types.named(STRUCT, "request").member("q")[1] = 0xffff_fff8;
    let _ = support::facts_of(&types.write());
}

#[test]
fn bytes_cut_short_anywhere_are_an_error() {
    let whole = recent().write();
    for len in 0..whole.len() {
        let error = support::facts_of(&whole[..len]);
        assert!(matches!(error, Err(SupportError::Btf(_))), "{len} bytes");
    }
}

#[test]
fn the_other_byte_order_is_told() {
    let mut bytes = recent().write();
    bytes.swap(0, 1);
    let error = support::facts_of(&bytes).unwrap_err().to_string();
    assert!(error.ends_with("BTF of the other byte order"));
}

#[test]
fn flipped_bytes_never_panic() {
    let whole = recent().write();
    for at in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            let _ = support::facts_of(&bytes);
        }
    }
}

#[test]
fn a_tracepoint_that_is_no_pointer_to_a_function_is_none() {
    let mut types = recent();
    types
        .named(TYPEDEF, "btf_trace_block_rq_issue")
        .size_or_type = 0;
    let facts = support::facts_of(&types.write()).unwrap();
    assert!(!facts.tracepoints.contains_key("block_rq_issue"));
    let round = types.0.len() as u32 + 1;
    types.add(Type::new(PTR, "", round));
    types
        .named(TYPEDEF, "btf_trace_block_rq_issue")
        .size_or_type = round;
    let facts = support::facts_of(&types.write()).unwrap();
    assert!(!facts.tracepoints.contains_key("block_rq_issue"));
}
