//! The program that reads and changes files as others do: this bench once more, under the user that it is told to be.
//!
//! It prints the seconds that the wall clock and the processor took for what was asked, without its own start.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use super::{MIB, Result};

/// The first argument of a run as a client; the others are what to do and where.
pub const CLIENT: &str = "as-client";
const PAGE: usize = 4096;
/// Pages that are touched in no order.
const TOUCHES: usize = 20_000;
/// Files of `create`, `open`, `rename` and `unlink`.
pub const SMALL_FILES: usize = 4000;

/// Does what the arguments say, and prints how long it took.
pub fn act(arguments: &[String]) -> Result<()> {
    let [what, path] = arguments else { return Err("what to do, and with which path?".into()) };
    let path = Path::new(path);
    let act: fn(&Path) -> Result<()> = match what.as_str() {
        "read" => read,
        "touch" => touch,
        "random" => random,
        "create" => create,
        "open" => open,
        "rename" => rename,
        "unlink" => unlink,
        _ => return Err(format!("{what} is nothing that a client does").into()),
    };
    let (start, before) = (Instant::now(), processor(libc::RUSAGE_SELF));
    act(path)?;
    println!("{} {}", start.elapsed().as_secs_f64(), processor(libc::RUSAGE_SELF) - before);
    Ok(())
}

/// The seconds that the processor has worked for `whom`, in programs and in the kernel.
pub fn processor(whom: libc::c_int) -> f64 {
    // SAFETY: all zeros are a valid value of this struct of numbers, and the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(whom, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// The whole file by requests of 1 MiB.
fn read(path: &Path) -> Result<()> {
    let file = fs::File::open(path)?;
    let mut bytes = vec![0; MIB];
    let mut place = 0;
    loop {
        match file.read_at(&mut bytes, place)? {
            0 => return Ok(()),
            count => place += count as u64,
        }
    }
}

/// A byte of each page of the mapped file, in order.
fn touch(path: &Path) -> Result<()> {
    let map = map(path)?;
    let sum: u64 = map.iter().step_by(PAGE).map(|byte| u64::from(*byte)).sum();
    std::hint::black_box(sum);
    Ok(())
}

/// Bytes of pages anywhere in the mapped file.
fn random(path: &Path) -> Result<()> {
    let map = map(path)?;
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut sum = 0;
    for _ in 0..TOUCHES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        sum += u64::from(map[(state % map.len() as u64) as usize]);
    }
    std::hint::black_box(sum);
    Ok(())
}

fn map(path: &Path) -> Result<memmap2::Mmap> {
    // SAFETY: nobody changes the files of a bench while it reads them.
    Ok(unsafe { memmap2::Mmap::map(&fs::File::open(path)?)? })
}

fn small(folder: &Path, number: usize) -> std::path::PathBuf {
    folder.join(format!("file-{number}"))
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir(folder)?;
    (0..SMALL_FILES).try_for_each(|number| Ok(fs::write(small(folder, number), [7; 200])?))
}

/// Opens and closes them, and reads nothing.
fn open(folder: &Path) -> Result<()> {
    (0..SMALL_FILES).try_for_each(|number| {
        fs::File::open(small(folder, number))?;
        Ok(())
    })
}

fn rename(folder: &Path) -> Result<()> {
    (0..SMALL_FILES)
        .try_for_each(|number| Ok(fs::rename(small(folder, number), folder.join(format!("new-{number}")))?))
}

/// Removes what `rename` left.
fn unlink(folder: &Path) -> Result<()> {
    (0..SMALL_FILES).try_for_each(|number| Ok(fs::remove_file(folder.join(format!("new-{number}")))?))
}
