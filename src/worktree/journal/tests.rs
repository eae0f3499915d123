//! Journals that several read and write, tear and replace.

use super::*;
use crate::disk::{Disk, SimulatedDisk};
use crate::history::TreePath;
use crate::id::TreeId;
use crate::units::Timestamp;
use crate::worktree::error::Error;
use crate::worktree::generation::Standing;
use std::path::PathBuf;

fn place() -> Place {
    let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new());
    let (dir, quarantine) = (PathBuf::from("/w"), PathBuf::from("/q"));
    disk.create_dir_all(&dir).expect("create");
    Place { disk, dir, quarantine }
}

fn open(place: &Place) -> Journal {
    Journal::open(place).expect("open").expect("exists")
}

fn start_generation(journal: &mut Journal, head: &[Record], since: u64) {
    let next = journal.next_generation(since).expect("read");
    next.write(head).expect("write");
    journal.start(&next).expect("start");
}

fn remove(path: &str) -> Record {
    Record::Remove { path: TreePath::parse(path).expect("valid"), at: Timestamp::EPOCH }
}

const RESET: Record = Record::Reset { base: None, tree: TreeId::from_bytes([0; 32]) };

fn records(news: News) -> Vec<Record> {
    match news {
        News::Records(records) => records,
        News::Superseded(_) => panic!("superseded"),
    }
}

#[test]
fn a_second_reader_sees_what_the_first_appends() {
    let place = place();
    let mut writer = Journal::create(&place, &[RESET]).expect("create");
    assert_eq!(records(writer.read_on().expect("read")), [RESET]);
    let mut reader = open(&place);
    assert_eq!(records(reader.read_on().expect("read")), [RESET]);
    writer.append(&remove("a")).expect("append");
    assert!(reader.has_news().expect("stat"));
    assert_eq!(records(reader.read_on().expect("read")), [remove("a")]);
    assert!(!reader.has_news().expect("stat"));
}

#[test]
fn a_torn_record_is_passed_over_and_cut_off_by_the_next_writer() {
    let place = place();
    let mut writer = Journal::create(&place, &[RESET]).expect("create");
    writer.read_on().expect("read");
    writer.append(&remove("a")).expect("append");
    let path = place.journal(1);
    let len = place.disk.stat(&path).expect("stat").expect("exists").len;
    place.disk.open(&path, true).expect("open").set_len(len - 3).expect("cut");
    let mut next = open(&place);
    assert_eq!(records(next.read_on().expect("read")), [RESET]);
    next.append(&remove("b")).expect("append");
    let mut last = open(&place);
    assert_eq!(records(last.read_on().expect("read")), [RESET, remove("b")]);
}

#[test]
fn a_reader_follows_into_the_next_generation_without_reading_twice() {
    let place = place();
    let mut writer = Journal::create(&place, &[RESET]).expect("create");
    writer.read_on().expect("read");
    let mut reader = open(&place);
    writer.append(&remove("before")).expect("append");
    let (_, snapshot) = writer.position();
    writer.append(&remove("after")).expect("append");
    records(reader.read_on().expect("read"));
    writer.append(&remove("late")).expect("append");
    start_generation(&mut writer, &[RESET], snapshot);
    writer.append(&remove("new")).expect("append");
    match reader.read_on().expect("read") {
        News::Superseded(records) => assert_eq!(records, [remove("late")]),
        News::Records(records) => panic!("{records:?}"),
    }
    assert!(reader.follow().expect("follow"));
    assert_eq!(records(reader.read_on().expect("read")), [remove("new")]);
    let mut fresh = open(&place);
    assert_eq!(
        records(fresh.read_on().expect("read")),
        [RESET, remove("after"), remove("late"), remove("new")]
    );
}

#[test]
fn a_reader_that_missed_a_generation_starts_over() {
    let place = place();
    let mut writer = Journal::create(&place, &[RESET]).expect("create");
    writer.read_on().expect("read");
    let mut reader = open(&place);
    for _ in 0..2 {
        let (_, position) = writer.position();
        start_generation(&mut writer, &[RESET], position);
    }
    assert!(matches!(reader.read_on().expect("read"), News::Superseded(_)));
    assert!(!reader.follow().expect("follow"));
    assert_eq!(records(reader.read_on().expect("read")), [RESET]);
}

/// A journal as version 1 of the format has it: made by a program of then.
const VERSION_1: &str = concat!(
    "434a524e0100010000000000000074000000000000000000000000000000e45f282c694f88fd4200",
    "0000fa6e7fe257361349010000000000000000000000000000000000000000000000000000000000",
    "000000001088697609025159f4506d9672fe03c64da83a5b9d5d3279a1cc89ca9f6d33e3"
);

#[test]
fn a_journal_of_version_1_is_read_and_appended_to_and_the_next_generation_is_of_version_2() {
    let place = place();
    let digits = VERSION_1.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    let bytes: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect();
    place.disk.replace(&place.journal(1), &bytes).expect("write");
    let mut journal = open(&place);
    let empty = Record::Reset { base: None, tree: crate::history::Tree::empty_id() };
    assert_eq!(records(journal.read_on().expect("read")), std::slice::from_ref(&empty));
    let (_, since) = journal.position();
    journal.append(&remove("a")).expect("append");
    assert_eq!(records(open(&place).read_on().expect("read")), [empty, remove("a")]);
    assert_eq!(journal.generation.standing().expect("stat"), Standing::Newest);
    let mut reader = open(&place);
    reader.read_on().expect("read");
    start_generation(&mut journal, &[RESET], since);
    assert!(reader.follow().expect("follow"));
    assert_eq!(records(open(&place).read_on().expect("read")), [RESET, remove("a")]);
    assert!(open(&place).generation.header.has_mark());
}

#[test]
fn damage_before_the_mark_is_an_error_and_behind_it_a_torn_end() {
    let place = place();
    let mut writer = Journal::create(&place, &[RESET]).expect("create");
    writer.read_on().expect("read");
    writer.append(&remove("durable")).expect("append");
    let (_, durable) = writer.position();
    writer.generation.note_durable(durable);
    writer.append(&remove("lost")).expect("append");
    writer.append(&remove("kept by chance")).expect("append");
    let flip = |at: u64| {
        let file = place.disk.open(&place.journal(1), true).expect("open");
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).expect("read");
        file.write_all_at(&[byte[0] ^ 1], at).expect("flip");
    };
    flip(durable + 14);
    let mut next = open(&place);
    assert_eq!(records(next.read_on().expect("read")), [RESET, remove("durable")]);
    assert!(!next.generation.was_cut().expect("look"));
    next.append(&remove("next")).expect("append");
    // Whole records that were never acknowledged are kept for whoever wants to look.
    assert!(next.generation.was_cut().expect("look"));
    flip(durable - 1);
    assert!(matches!(open(&place).read_on(), Err(Error::DamagedJournal { .. })));
}

#[test]
fn what_was_cut_off_is_in_quarantine_whenever_the_power_is_cut_after_it() {
    let disk = SimulatedDisk::new();
    let place = Place { disk: Arc::new(disk.clone()), dir: "/w".into(), quarantine: "/q".into() };
    disk.create_dir_all(&place.dir).expect("create");
    let mut writer = Journal::create(&place, &[RESET]).expect("create");
    writer.read_on().expect("read");
    let (_, torn) = writer.position();
    writer.append(&remove("torn")).expect("append");
    writer.append(&remove("whole")).expect("append");
    disk.open(&place.journal(1), true).expect("open").write_all_at(&[0xff], torn + 14).expect("tear");
    let mut next = open(&place);
    next.read_on().expect("read");
    next.append(&remove("next")).expect("append");
    for seed in 0..16 {
        let left = disk.crash_image(seed).list(&place.quarantine).expect("the folder is durable");
        assert_eq!(left.len(), 1);
    }
}

#[test]
fn another_worktree_under_the_same_name_is_not_followed() {
    let place = place();
    let mut old = Journal::create(&place, &[RESET]).expect("create");
    old.read_on().expect("read");
    place.disk.remove_file(&place.journal(1)).expect("delete");
    let mut new = Journal::create(&place, &[RESET]).expect("create");
    new.read_on().expect("read");
    assert_eq!(old.generation.standing().expect("stat"), Standing::Gone);
    let (_, since) = new.position();
    start_generation(&mut new, &[RESET], since);
    assert_eq!(
        (old.generation.standing().expect("stat"), new.generation.standing().expect("stat")),
        (Standing::Gone, Standing::Newest)
    );
    assert!(matches!(old.follow(), Err(Error::Replaced(_))));
}

#[test]
fn who_read_what_was_taken_back_starts_over_and_loses_nothing_that_comes_later() {
    let place = place();
    let mut writer = Journal::create(&place, &[RESET]).expect("create");
    writer.read_on().expect("read");
    writer.append(&remove("kept")).expect("append");
    let (_, before) = writer.position();
    writer.append(&remove("in doubt")).expect("append");
    let mut reader = open(&place);
    assert_eq!(records(reader.read_on().expect("read")), [RESET, remove("kept"), remove("in doubt")]);
    let (next, head) = writer.without_end(before).expect("read");
    next.write(&head).expect("write");
    writer.start(&next).expect("start");
    writer.append(&remove("later")).expect("append");
    assert!(matches!(reader.read_on().expect("read"), News::Superseded(records) if records.is_empty()));
    assert!(!reader.follow().expect("follow"));
    assert_eq!(records(reader.read_on().expect("read")), [RESET, remove("kept"), remove("later")]);
}

#[test]
fn who_could_not_open_the_next_generation_goes_on_where_it_begins() {
    let place = place();
    let mut writer = Journal::create(&place, &[RESET]).expect("create");
    writer.read_on().expect("read");
    let mut reader = open(&place);
    reader.read_on().expect("read");
    let (_, since) = writer.position();
    start_generation(&mut writer, &[RESET], since);
    assert!(matches!(reader.read_on().expect("read"), News::Superseded(_)));
    // Opening the next one failed for once: it is still news, and found again.
    assert!(reader.has_news().expect("stat"));
    assert!(matches!(reader.read_on().expect("read"), News::Superseded(records) if records.is_empty()));
    assert!(reader.follow().expect("follow"));
    assert_eq!(reader.position(), writer.position());
    reader.append(&remove("after")).expect("append");
    assert_eq!(records(open(&place).read_on().expect("read")), [RESET, remove("after")]);
}
