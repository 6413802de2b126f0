//! Asking for a secret at the terminal, which does not show it.
//!
//! A terminal shows what is typed until it is told not to. So it is told first, and asked for afterwards: what is pasted
//! as soon as the question can be seen, or before, is neither shown nor lost.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rpassword::{ConfigBuilder, read_password_with_config};
use rustix::{
    process::getpgrp,
    termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr},
};
use zeroize::Zeroizing;

/// The terminal that started the command, wherever its input and output go.
const TERMINAL: &str = "/dev/tty";
const CTRL_C: u8 = 3;

/// What has become of the terminal. There is one, so that one place knows.
static STATE: Mutex<State> = Mutex::new(State::Shows);

enum State {
    /// As the command found it.
    Shows,
    Hides(Hiding),
    /// As the command found it, and to be left so: the command ends.
    Left,
}

struct Hiding {
    terminal: File,
    /// How the command found it.
    before: Termios,
    /// How many [`Hidden`] there are.
    holders: usize,
}

/// While there is one of these, the terminal does not show what is typed.
pub(super) struct Hidden(());

impl Hidden {
    /// Has the terminal hide what is typed.
    pub(super) fn begin() -> io::Result<Self> {
        Self::begin_on(OpenOptions::new().read(true).write(true).open(TERMINAL)?)
    }

    /// The same, unless the command is one of those in the background: they may not change how the terminal is, and
    /// would be stopped until they are brought to the foreground. Nor if there is no terminal.
    pub(super) fn begin_in_foreground() -> Option<Self> {
        let terminal = OpenOptions::new().read(true).write(true).open(TERMINAL).ok()?;
        if tcgetpgrp(&terminal).ok()? == getpgrp() { Self::begin_on(terminal).ok() } else { None }
    }

    fn begin_on(terminal: File) -> io::Result<Self> {
        let mut state = state();
        match &mut *state {
            State::Left => return Err(io::ErrorKind::Interrupted.into()),
            State::Hides(hiding) => hiding.holders += 1,
            State::Shows => {
                let before = tcgetattr(&terminal)?;
                let mut hides = before.clone();
                hides.local_modes -= LocalModes::ECHO | LocalModes::ECHONL;
                // `Now`, and not `Flush`: what was typed already is part of the answer.
                tcsetattr(&terminal, OptionalActions::Now, &hides)?;
                *state = State::Hides(Hiding { terminal, before, holders: 1 });
            }
        }
        Ok(Self(()))
    }

    /// Asks for a secret, and waits for it. Ctrl-C is an error of the kind `Interrupted`.
    pub(super) fn ask(&self, question: &str) -> io::Result<Zeroizing<String>> {
        let mut terminal = take_keys()?;
        terminal.write_all(question.as_bytes())?;
        let keys = ConfigBuilder::new().input_reader(Keys(terminal.try_clone()?)).output_discard().build();
        let typed = read_password_with_config(keys).map(Zeroizing::new);
        // The line break was not shown either.
        terminal.write_all(b"\n")?;
        typed
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let mut state = state();
        if let State::Hides(hiding) = &mut *state {
            hiding.holders -= 1;
            if hiding.holders == 0 {
                hiding.end();
                *state = State::Shows;
            }
        }
    }
}

impl Hiding {
    fn end(&self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Asks two questions, and hides the terminal once for both: the second answer may be pasted together with the first.
pub(super) fn ask_both(first: &str, second: &str) -> io::Result<(Zeroizing<String>, Zeroizing<String>)> {
    let hidden = Hidden::begin()?;
    Ok((hidden.ask(first)?, hidden.ask(second)?))
}

/// Leaves the terminal as the command found it, for good. For a command that ends while somebody is still asked.
pub(super) fn leave() {
    if let State::Hides(hiding) = std::mem::replace(&mut *state(), State::Left) {
        hiding.end();
    }
}

/// Has the terminal hand over each key as it is pressed, and not lines: those are of 4,095 bytes at most.
fn take_keys() -> io::Result<File> {
    let state = state();
    let State::Hides(Hiding { terminal, before, .. }) = &*state else { return Err(io::ErrorKind::Interrupted.into()) };
    let mut keys = before.clone();
    keys.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
    keys.special_codes[SpecialCodeIndex::VMIN] = 1;
    keys.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(terminal, OptionalActions::Now, &keys)?;
    terminal.try_clone()
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The keys. Ctrl-C ends the reading here: rpassword would end the process, with the terminal as it is.
struct Keys(File);

impl Read for Keys {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if buffer[..read].contains(&CTRL_C) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(read) }
    }
}
