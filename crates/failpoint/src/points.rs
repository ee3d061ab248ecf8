//! The list of all points. It is in the order in which a push and a delete pass them.

/// A place in the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// `crate::subject::moment`.
    pub name: &'static str,
    /// Whether the operation can be made to fail there, not only the process.
    pub fails: bool,
    /// What a crash there leaves behind.
    pub left: &'static str,
}

const fn kills(name: &'static str, left: &'static str) -> Point {
    Point {
        name,
        fails: false,
        left,
    }
}

const fn fails(name: &'static str, left: &'static str) -> Point {
    Point {
        name,
        fails: true,
        left,
    }
}

/// Every point, and what a crash there leaves behind.
pub const POINTS: &[Point] = &[
    kills(
        "storage::install::made",
        "the folders of a new store, not flushed",
    ),
    kills(
        "storage::install::flushed",
        "an empty store without a database",
    ),
    kills(
        "metadata::create::built",
        "a new database under its first name",
    ),
    kills(
        "metadata::create::renamed",
        "a new database whose name is not flushed",
    ),
    kills("registry::upload::begun", "a session's row without a file"),
    fails(
        "storage::open::created",
        "a file without bytes, named by its session",
    ),
    fails(
        "storage::append::written",
        "bytes that no row counts, not flushed",
    ),
    kills(
        "registry::upload::checkpoint",
        "flushed bytes that the session's row does not count yet",
    ),
    kills(
        "registry::upload::received",
        "all bytes of a request, none of them counted",
    ),
    kills(
        "registry::upload::advanced",
        "a session's row that counts what no client was told of",
    ),
    kills(
        "registry::upload::verified",
        "an object whose digest is right, not flushed",
    ),
    fails(
        "storage::flush::begun",
        "written bytes, none of them flushed",
    ),
    fails(
        "storage::flush::bytes",
        "flushed bytes under a name that is not flushed",
    ),
    kills(
        "storage::flush::name",
        "a flushed object that is not sealed yet",
    ),
    kills(
        "registry::upload::sealed",
        "a sealed object without a row that makes it visible",
    ),
    kills(
        "metadata::writer::taken",
        "nothing of a batch of changes that was taken from the queue",
    ),
    kills(
        "metadata::upload::unlinked",
        "a transaction in which a session has ended and its blob is not there yet",
    ),
    kills(
        "metadata::manifest::inserted",
        "a transaction in which a manifest is there and its tags are not set yet",
    ),
    kills(
        "metadata::writer::changed",
        "a transaction with some changes of its batch",
    ),
    kills(
        "metadata::writer::commit",
        "a transaction with all changes, not committed",
    ),
    kills(
        "metadata::writer::committed",
        "a committed batch of which nobody was told",
    ),
    kills(
        "metadata::checkpoint::begun",
        "a log that is to be written back",
    ),
    kills(
        "metadata::checkpoint::done",
        "a log that was written back and cut",
    ),
    kills(
        "registry::upload::visible",
        "a visible blob that was not acknowledged",
    ),
    kills(
        "registry::upload::discarded",
        "the key of an ended session in the trash",
    ),
    kills(
        "registry::mount::done",
        "a mounted blob that was not acknowledged",
    ),
    kills(
        "registry::manifest::put",
        "a manifest that was checked only",
    ),
    kills(
        "registry::manifest::stored",
        "a manifest and its tags, not acknowledged",
    ),
    kills("registry::tag::delete", "a tag that was to be deleted"),
    kills(
        "registry::tag::deleted",
        "a deleted tag that was not acknowledged",
    ),
    kills(
        "registry::manifest::delete",
        "a manifest that was to be deleted",
    ),
    kills(
        "registry::manifest::deleted",
        "a deleted manifest that was not acknowledged",
    ),
    kills("registry::blob::delete", "a blob that was to be deleted"),
    kills(
        "registry::blob::deleted",
        "a deleted blob that was not acknowledged",
    ),
    kills(
        "registry::sweep::expired",
        "keys of expired sessions in the trash",
    ),
    kills(
        "registry::sweep::found",
        "a key in the trash whose object is there",
    ),
    fails("storage::delete::begun", "an object that was to be removed"),
    kills("storage::delete::done", "a removal that is not flushed"),
    kills(
        "registry::sweep::removed",
        "a key in the trash whose object is gone",
    ),
    kills(
        "server::answer::ready",
        "an answer that is ready and not sent",
    ),
];
