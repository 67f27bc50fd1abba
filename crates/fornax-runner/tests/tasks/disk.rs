//! A full disk loses nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fornax_runner::{ExitCause, Report};

use crate::kit::{Daemon, Test, is_alive, myself, pid_in_task, spec_in, text, until};

pub const TESTS: &[Test] = &[
    ("disk::a_log_that_does_not_fit_waits_for_room", full_log),
    ("disk::a_start_that_does_not_fit_waits_for_room", full_start),
    ("disk::a_start_that_waits_can_be_stopped", stopped_start),
    (
        "disk::a_start_that_waits_is_given_up_with_its_daemon",
        orphaned_start,
    ),
    (
        "disk::a_record_that_does_not_fit_waits_for_room",
        full_record,
    ),
];

/// A file system of its own, of 16 megabytes.
struct SmallDisk {
    path: PathBuf,
    _temp: tempfile::TempDir,
}

impl SmallDisk {
    /// `None` where mounting is not allowed, which is a failure in CI.
    fn new() -> Option<SmallDisk> {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().to_owned();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(&path)
            .output()
            .unwrap();
        if mount.status.success() {
            return Some(SmallDisk { path, _temp: temp });
        }
        let why = String::from_utf8_lossy(&mount.stderr).into_owned();
        assert!(
            std::env::var_os("CI").is_none(),
            "CI must be able to mount a tmpfs: {why}"
        );
        eprintln!("SKIPPED, a full disk was not tested: mounting a tmpfs needs root: {why}");
        None
    }

    /// Fills all but `spare` bytes; remove the file to make room.
    fn fill(&self, spare: u64) -> PathBuf {
        let file = self.path.join("ballast");
        let stat = rustix::fs::statvfs(&self.path).unwrap();
        let bytes = (stat.f_bavail * stat.f_frsize).saturating_sub(spare);
        fs::write(&file, vec![0; bytes as usize]).unwrap();
        file
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A failed test leaves a shim that waits for room; let it end.
        let _ = fs::remove_file(self.path.join("ballast"));
        let unmounted = Command::new("umount")
            .arg("-l")
            .arg(&self.path)
            .status()
            .unwrap();
        assert!(unmounted.success() || std::thread::panicking());
    }
}

fn stat(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn resumed(daemon: &Daemon) {
    daemon.wait(|report| match report {
        Report::Resumed { .. } => Some(()),
        Report::Ended { exit, .. } => panic!("ended: {exit:?}"),
        _ => None,
    });
}

fn full_log() {
    let Some(disk) = SmallDisk::new() else { return };
    let daemon = Daemon::start();
    // Far more than there is room for on the disk and in the pipes.
    const BYTES: usize = 6 << 20;
    let mut spec = spec_in(
        &disk.path,
        &[&myself(), "__emit", "both", &BYTES.to_string()],
    );
    spec.silence_ms = Some(700);
    let ballast = disk.fill(1 << 20);
    daemon.supervisor.ensure(spec.clone());
    let pid = daemon.started();
    let reason = daemon.stalled();
    assert!(
        reason.contains(".log") && reason.contains("space"),
        "{reason}"
    );
    // A daemon that comes now hears of it too, and the command is still there, waiting.
    drop(daemon);
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    daemon.stalled();
    assert!(is_alive(pid) && stat(&spec.dir.join("stdout.log")) < BYTES as u64);
    // Longer than the silence that is allowed: the command is not to blame for ours.
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    fs::remove_file(ballast).unwrap();
    let exit = daemon.ended();
    assert_eq!(
        (exit.cause, exit.code, exit.error),
        (ExitCause::Exited, Some(0), None)
    );
    for (log, name) in [("stdout.log", "out"), ("stderr.log", "err")] {
        let log = fs::read(spec.dir.join(log)).unwrap();
        let expected = text(name, BYTES);
        assert!(
            log == expected,
            "{name}: {} of {} bytes",
            log.len(),
            expected.len()
        );
    }
}

fn full_start() {
    let Some(disk) = SmallDisk::new() else { return };
    let daemon = Daemon::start();
    let spec = spec_in(&disk.path, &["sh", "-c", "echo ran"]);
    let ballast = disk.fill(0);
    daemon.supervisor.ensure(spec.clone());
    let reason = daemon.stalled();
    assert!(reason.contains("cannot be created"), "{reason}");
    assert!(!spec.dir.exists());
    fs::remove_file(ballast).unwrap();
    resumed(&daemon);
    assert_eq!(daemon.ended().code, Some(0));
    assert_eq!(crate::kit::log(&spec, "stdout.log"), "ran\n");
}

fn stopped_start() {
    let Some(disk) = SmallDisk::new() else { return };
    let daemon = Daemon::start();
    let spec = spec_in(&disk.path, &["sh", "-c", "echo ran"]);
    let ballast = disk.fill(0);
    daemon.supervisor.ensure(spec.clone());
    daemon.stalled();
    daemon.supervisor.stop(&spec.task_id);
    assert_eq!(daemon.ended().cause, ExitCause::Stopped);
    fs::remove_file(ballast).unwrap();
    assert_eq!(fs::read_dir(&disk.path).unwrap().count(), 0);
}

fn orphaned_start() {
    let Some(disk) = SmallDisk::new() else { return };
    let daemon = Daemon::start();
    let mut spec = spec_in(&disk.path, &["sh", "-c", "echo ran"]);
    // Shims bear the name of their task.
    spec.task_id = format!("t-{}", std::process::id());
    let shims = || {
        let names = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| fs::read_to_string(entry.unwrap().path().join("comm")).ok());
        names.filter(|name| name.trim() == spec.task_id).count()
    };
    let ballast = disk.fill(0);
    daemon.supervisor.ensure(spec.clone());
    daemon.stalled();
    assert_eq!(shims(), 1);
    drop(daemon);
    until("the shim gives up", || (shims() == 0).then_some(()));
    fs::remove_file(ballast).unwrap();
    assert_eq!(fs::read_dir(&disk.path).unwrap().count(), 0);
    // Whoever still wants the task asks again.
    assert_eq!(Daemon::start().run(&spec).code, Some(0));
}

fn full_record() {
    let Some(disk) = SmallDisk::new() else { return };
    let daemon = Daemon::start();
    let go = tempfile::tempdir().unwrap();
    let go = go.path().join("go");
    let script = format!(
        "until test -e {}; do sleep 0.02; done; exit 6",
        go.display()
    );
    let spec = spec_in(&disk.path, &["sh", "-c", &script]);
    daemon.supervisor.ensure(spec.clone());
    let pid = daemon.started();
    until("task.json is whole", || {
        (pid_in_task_or_none(&spec) == Some(pid)).then_some(())
    });
    let ballast = disk.fill(0);
    fs::write(&go, "").unwrap();
    let reason = daemon.stalled();
    assert!(reason.contains("exit.json"), "{reason}");
    fs::remove_file(ballast).unwrap();
    assert_eq!(daemon.ended().code, Some(6));
    assert_eq!(pid_in_task(&spec, "child"), pid);
}

fn pid_in_task_or_none(spec: &fornax_runner::TaskSpec) -> Option<u32> {
    let task = crate::kit::json(spec.dir.join("task.json"));
    task["child"]["pid"].as_u64().map(|pid| pid as u32)
}
