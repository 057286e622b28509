//! How the arguments of a command line are read.

/// Of `--name VALUE` and `--name=VALUE`, the first.
pub(super) fn value_of<'a>(args: &'a [String], names: &[&str]) -> Option<&'a str> {
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        if names.contains(&arg) {
            return args.next();
        }
        let (name, value) = arg.split_once('=').unwrap_or((arg, ""));
        if arg.contains('=') && names.contains(&name) {
            return Some(value);
        }
    }
    None
}
