//! Which content a file of a mount has, as the mount tells it in an extended attribute.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The attribute, as docs/semantics.md has it.
const NAME: &std::ffi::CStr = c"user.coral.id";
/// More than any has.
const LEN_MAX: usize = 256;

/// The id of what a file of a mount is made of; `None` for one that is not stored yet, and for what is no file.
///
/// # Errors
/// If it cannot be asked.
pub fn content_of(path: &Path) -> io::Result<Option<String>> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut value = [0u8; LEN_MAX];
    // SAFETY: both names are NUL-terminated, the buffer is as long as is said, and all outlive the call.
    let len = unsafe { libc::lgetxattr(path.as_ptr(), NAME.as_ptr(), value.as_mut_ptr().cast(), LEN_MAX) };
    match usize::try_from(len) {
        Ok(len) => Ok(str::from_utf8(&value[..len]).ok().map(str::to_owned)),
        Err(_) => match io::Error::last_os_error() {
            error if matches!(error.raw_os_error(), Some(libc::ENODATA | libc::EOPNOTSUPP)) => Ok(None),
            error => Err(error),
        },
    }
}
