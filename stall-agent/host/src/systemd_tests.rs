//! Units enabled, masked, dropped into, and hostile.

use proptest::prelude::*;

use super::super::fixture::Fixture;
use super::*;

const TIMER: &str = "[Unit]\nDescription=Discard unused blocks once a week\n\n[Timer]\nOnCalendar=weekly\nAccuracySec=1h\nPersistent=true\nRandomizedDelaySec=6000\n";
const SERVICE: &str = "[Service]\nType=oneshot\nExecStart=/sbin/fstrim --listed-in /etc/fstab:/proc/self/mountinfo --verbose \\\n --quiet-unsupported\n";

fn host() -> Fixture {
    let fixture = Fixture::new();
    fixture
        .file("usr/lib/systemd/system/fstrim.timer", TIMER)
        .file("usr/lib/systemd/system/fstrim.service", SERVICE);
    fixture
}

#[test]
fn an_enabled_timer_of_a_unified_host() {
    let fixture = host();
    fixture
        .link(
            "etc/systemd/system/timers.target.wants/fstrim.timer",
            "/usr/lib/systemd/system/fstrim.timer",
        )
        .file("var/lib/systemd/timers/stamp-fstrim.timer", "")
        .file(
            "sys/fs/cgroup/system.slice/fstrim.service/cgroup.procs",
            "77\n",
        );
    let schedule = trim_schedule(&fixture.root());
    assert!(schedule.timer.enabled && !schedule.timer.masked);
    assert_eq!(schedule.timer.on_calendar.as_deref(), Some("weekly"));
    assert_eq!(schedule.timer.randomized_delay.as_deref(), Some("6000"));
    assert_eq!(schedule.service.running, Some(true));
    let command = schedule.service.exec_start.unwrap();
    assert!(
        command.ends_with("--verbose   --quiet-unsupported"),
        "{command}"
    );
    assert!(schedule.last_run_unix_ns.is_some());
}

#[test]
fn a_masked_timer_and_a_service_at_rest_of_a_hybrid_host() {
    let fixture = host();
    fixture
        .link("etc/systemd/system/fstrim.timer", "/dev/null")
        .directory("sys/fs/cgroup/systemd/system.slice");
    let schedule = trim_schedule(&fixture.root());
    assert!(schedule.timer.masked && !schedule.timer.enabled);
    assert_eq!(schedule.service.running, Some(false));
    assert_eq!(schedule.last_run_unix_ns, None);
}

#[test]
fn a_drop_in_changes_the_schedule() {
    let fixture = host();
    fixture
        .file(
            "etc/systemd/system/fstrim.timer.d/10-spread.conf",
            "[Timer]\nOnCalendar=\nOnCalendar=Sat 03:00\nRandomizedDelaySec=12h\n",
        )
        .file(
            "usr/lib/systemd/system/fstrim.timer.d/10-spread.conf",
            "[Timer]\nOnCalendar=daily\n",
        );
    let timer = trim_schedule(&fixture.root()).timer;
    assert_eq!(timer.on_calendar.as_deref(), Some("Sat 03:00"));
    assert_eq!(timer.randomized_delay.as_deref(), Some("12h"));
}

#[test]
fn an_empty_file_masks_and_a_local_one_counts() {
    let fixture = host();
    fixture.file("etc/systemd/system/fstrim.timer", "");
    assert!(trim_schedule(&fixture.root()).timer.masked);
    let fixture = host();
    fixture.file(
        "usr/local/lib/systemd/system/fstrim.service",
        "[Service]\nExecStart=/usr/local/sbin/gentle-fstrim\n",
    );
    let service = trim_schedule(&fixture.root()).service;
    assert_eq!(
        service.exec_start.as_deref(),
        Some("/usr/local/sbin/gentle-fstrim")
    );
    assert!(!service.masked);
}

#[test]
fn a_host_without_any_has_none() {
    let schedule = trim_schedule(&Fixture::new().root());
    assert_eq!(schedule.timer, UnitState::default());
    assert_eq!(schedule.service.running, None);
}

#[test]
fn reads_the_table_that_elemental_writes() {
    let text = "# comment\nLABEL=COS_PERSISTENT\t/usr/local\tauto\tdefaults\t0 0\n\
                LABEL=HARV_LH_DEFAULT /var/lib/harvester/defaultdisk ext4 defaults 0 0\n\
                x\n/dev/a /b\\040c ext4\n";
    let entries = fstab(text);
    let points: Vec<_> = entries
        .iter()
        .map(|entry| entry.mount_point.as_str())
        .collect();
    assert_eq!(
        points,
        ["/usr/local", "/var/lib/harvester/defaultdisk", "/b c"]
    );
}

#[test]
fn links_in_a_circle_and_gigabytes_end() {
    let fixture = Fixture::new();
    fixture
        .link("etc/systemd/system/fstrim.timer", "fstrim.timer")
        .sparse("etc/systemd/system/fstrim.service", 1 << 30)
        .sparse("etc/fstab", 1 << 30);
    let schedule = trim_schedule(&fixture.root());
    assert_eq!(schedule.service.exec_start, None);
    assert!(schedule.fstab.is_empty());
}

proptest! {
    #[test]
    fn any_unit_and_table_is_read(text in "(\\[[A-Z][a-z]*\\]\n|[A-Za-z]{1,9}=.{0,20}\n|\\\\\n|.{0,40})*") {
        let mut values = BTreeMap::new();
        read_settings(&text, &mut values);
        let _ = fstab(&text);
    }
}
