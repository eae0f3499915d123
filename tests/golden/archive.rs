//! Plain `tar` archives, as far as `ustar` goes: folders and files under short names.

use std::fs;
use std::path::Path;
use std::process::Command;

const BLOCK: usize = 512;

/// Writes what an archive holds below `folder`.
pub fn unpack(archive: &[u8], folder: &Path) {
    let mut rest = archive;
    while let Some((header, after)) = rest.split_first_chunk::<BLOCK>()
        && header[0] != 0
    {
        let path = folder.join(text(&header[..100]));
        let len = usize::from_str_radix(text(&header[124..136]).trim(), 8).expect("octal digits");
        match header[156] {
            b'5' => fs::create_dir_all(path).expect("created"),
            b'0' => fs::write(path, &after[..len]).expect("written"),
            kind => panic!("an entry of kind {kind}"),
        }
        rest = &after[len.next_multiple_of(BLOCK)..];
    }
}

fn text(field: &[u8]) -> &str {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    std::str::from_utf8(&field[..end]).expect("names and numbers are text")
}

/// Packs `folder/name`, with nothing in it that tells of the machine.
pub fn pack(folder: &Path, name: &str, to: &Path) {
    let plain = ["--format=ustar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"];
    let status = Command::new("tar").args(plain).arg("-C").arg(folder).arg("-cf").arg(to).arg(name).status();
    assert!(status.expect("tar runs").success());
}
