//! What of the running program stays in memory.
//!
//! The system maps 64 KiB of a program's file around each function that runs. A start reads configuration, opens
//! databases and checks signatures once, and what it ran stays mapped for as long as nothing else needs the memory: most
//! of the pages that a process is then said to take. Given back, what serving needs comes again from the page cache, a
//! fault for each 64 KiB, and the rest does not.

use std::io;

/// Lets go of the pages of this program's own code and of the constants in front of it; those that are needed come again
/// when they are. Gives how many bytes of the address space that was, 0 where the system is not Linux or does not say
/// where the code is.
///
/// # Errors
/// When the system refuses.
pub fn give_code_back() -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    {
        let here = give_code_back as fn() -> io::Result<usize> as *const () as usize;
        let maps = std::fs::read_to_string("/proc/self/maps")?;
        let Some((from, to)) = code_around(&maps, here) else { return Ok(0) };
        let length = to - from;
        // SAFETY: the mapping holds this very function, so it is this program's code and stays where it is while this
        // runs, as does the first mapping of the same file, which ends where the code begins. Both are private and not
        // writable, as `code_around` has seen, and the loader relocates nothing in them (it writes to what lies behind
        // the code, elf(5), PT_GNU_RELRO), so their pages are those of the file and nothing that was written: dropped,
        // they are read from there again at the next access (madvise(2), MADV_DONTNEED), just as when the system drops
        // them because memory is short. Nothing is unmapped.
        #[expect(unsafe_code, reason = "the system is told an address")]
        let refused = unsafe { libc::madvise(from as *mut libc::c_void, length, libc::MADV_DONTNEED) } != 0;
        if refused { Err(io::Error::last_os_error()) } else { Ok(length) }
    }
    #[cfg(not(target_os = "linux"))]
    Ok(0)
}

/// The mapping in which an address lies, from its first byte to the one behind its last, when it is code of a file that
/// nobody can write to (proc(5), `/proc/pid/maps`); from the file's beginning on where that is mapped right in front of it
/// to be read only.
#[cfg(target_os = "linux")]
fn code_around(maps: &str, address: usize) -> Option<(usize, usize)> {
    let (mut front, mut found) = (None, None);
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let mut read = || {
            let (from, to) = fields.next()?.split_once('-')?;
            let range = (usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?);
            let (rights, offset) = (fields.next()?, fields.next()?);
            Some((range, rights, offset, (fields.next()?, fields.next()?)))
        };
        let Some(((from, to), rights, offset, file)) = read() else { continue };
        if rights == "r-xp" && file.1 != "0" && (from..to).contains(&address) {
            let whole = front.filter(|(_, end, of)| *end == from && *of == file);
            found = Some((whole.map_or(from, |(start, ..)| start), to));
            break;
        }
        front = (rights == "r--p" && offset.bytes().all(|digit| digit == b'0')).then_some((from, to, file));
    }
    found
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_a_file_is_found() {
        let maps = "55d0-55e0 r--p 00000000 08:01 77 /usr/bin/one\n\
                    55e0-5600 r-xp 00001000 08:01 77 /usr/bin/one with a space\n\
                    5600-5610 rwxp 00000000 08:01 77 /usr/bin/one\n\
                    5610-5620 r-xp 00000000 00:00 0 [vdso]\n\
                    nonsense\n";
        assert_eq!(code_around(maps, 0x55e0), Some((0x55d0, 0x5600)));
        assert_eq!(code_around(maps, 0x55ff), Some((0x55d0, 0x5600)));
        // What lies in front is of another file, further on in the same, apart, or was written to.
        for other in ["r--p 00000000 08:01 78", "r--p 00001000 08:01 77", "rw-p 00000000 08:01 77"] {
            let maps = maps.replacen("r--p 00000000 08:01 77", other, 1);
            assert_eq!(code_around(&maps, 0x55e0), Some((0x55e0, 0x5600)), "{other}");
        }
        assert_eq!(code_around(&maps.replacen("-55e0", "-55df", 1), 0x55e0), Some((0x55e0, 0x5600)));
        for outside in [0, 0x55d5, 0x5600, 0x5615, 0x5620] {
            assert_eq!(code_around(maps, outside), None, "{outside:#x}");
        }
    }

    /// Pages of the program's file in memory, in KiB, as the system counts them.
    fn of_the_file() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).expect("so many KiB");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    #[test]
    fn code_that_ran_once_goes_and_what_is_needed_comes_again() {
        let text: String = (0..10_000).map(|n: u32| n.to_string()).collect();
        let before = of_the_file();
        assert!(give_code_back().expect("the system takes it back") > 0);
        let after = of_the_file();
        assert!(after < before, "{before} KiB before, {after} after");
        assert_eq!(text, (0..10_000).map(|n: u32| n.to_string()).collect::<String>());
    }
}
