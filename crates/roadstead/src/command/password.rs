//! A new password: asked for at a terminal, without showing it, or read from a pipe. Never an
//! argument, which everybody on the machine could see.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::os::fd::AsFd as _;

use anyhow::{Context as _, bail};
use roadstead_auth::API_KEY_PREFIX;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Bytes of a password, at most.
const BYTES_MAX: usize = 1_024;

/// Reads a password: from standard input if `from_stdin`, else at the terminal, twice.
///
/// # Errors
/// A password that cannot be used; no terminal to ask at.
pub(super) fn read(from_stdin: bool) -> anyhow::Result<String> {
    let stdin = io::stdin();
    let password = if from_stdin {
        let mut text = Vec::new();
        let most = BYTES_MAX as u64 + 3;
        stdin.lock().take(most).read_to_end(&mut text)?;
        String::from_utf8(text).context("the password is not UTF-8")?
    } else {
        if !stdin.is_terminal() {
            bail!(
                "there is no terminal to ask for the password at: pass it to standard input, with \
                 --password-stdin"
            );
        }
        let first = ask("New password: ")?;
        if ask("The same again: ")? != first {
            bail!("the two passwords are not the same; nothing was changed");
        }
        first
    };
    check(password)
}

/// Takes a line's end away; the rest must be a password that clients can send.
fn check(mut text: String) -> anyhow::Result<String> {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        bail!("the password is empty");
    }
    if text.len() > BYTES_MAX {
        bail!("the password is longer than {BYTES_MAX} bytes");
    }
    if text.chars().any(char::is_control) {
        bail!("the password has a line's end or another control character in it");
    }
    if text.starts_with(API_KEY_PREFIX) {
        bail!("the password begins with {API_KEY_PREFIX}, as the keys of robots do");
    }
    Ok(text)
}

/// Asks for a line at the terminal.
fn ask(prompt: &str) -> anyhow::Result<String> {
    let stdin = io::stdin();
    let terminal = File::from(stdin.as_fd().try_clone_to_owned()?);
    let _silence = Silence::of(terminal).context("the terminal cannot be kept from showing it")?;
    eprint!("{prompt}");
    io::stderr().flush()?;
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    // The user's own line end was not shown either.
    eprintln!();
    read?;
    Ok(line)
}

/// A terminal that shows nothing of what is typed, until this is dropped. An interrupt is typed like
/// any other character meanwhile (and refused, as all control characters are): it would end this
/// process and leave the terminal mute. getpass(3) does the same.
struct Silence {
    terminal: File,
    before: Termios,
}

impl Silence {
    fn of(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut mute = before.clone();
        mute.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        tcsetattr(&terminal, OptionalActions::Flush, &mute)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before) {
            eprintln!("roadstead: the terminal stays mute ({error}): type reset");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_not_part_of_a_password() {
        for (text, expected) in [
            ("secret", Some("secret")),
            ("secret\n", Some("secret")),
            ("secret\r\n", Some("secret")),
            (" with: spaces \n", Some(" with: spaces ")),
            ("пароль", Some("пароль")),
            ("", None),
            ("\n", None),
            ("secret\n\n", None),
            ("two\nlines\n", None),
            ("\u{3}", None),
            ("a\0b", None),
            ("rsd_secret", None),
            (&"x".repeat(1_024), Some(&"x".repeat(1_024))),
            (&"x".repeat(1_025), None),
        ] {
            assert_eq!(check(text.to_owned()).ok().as_deref(), expected, "{text:?}");
        }
    }
}
