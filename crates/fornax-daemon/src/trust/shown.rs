//! What a person was shown before they decided.

use std::path::Path;

use fornax_core::error::{Error, ErrorKind};

use crate::git::FilterCommand;
use crate::plans;
use crate::secret::hex;

/// The digests that a person was shown. None at all: what is there now.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub digest: &'a Option<String>,
    pub filters: &'a [String],
}

impl Shown<'_> {
    fn is_everything(self) -> bool {
        self.digest.is_none() && self.filters.is_empty()
    }

    pub fn has_config(self) -> bool {
        self.digest.is_some() || self.is_everything()
    }

    pub fn has_filter(self, filter: &FilterCommand) -> bool {
        self.is_everything() || self.filters.contains(&hex(&filter.digest()))
    }

    /// Refuses what is no longer as it was shown.
    ///
    /// # Errors
    /// `Conflict`.
    pub fn check(
        self,
        root: &Path,
        digest: Option<&str>,
        filters: &[FilterCommand],
    ) -> Result<(), Error> {
        let current: Vec<String> = filters.iter().map(|one| hex(&one.digest())).collect();
        let what = if self.digest.is_some() && self.digest.as_deref() != digest {
            root.join(plans::CONFIG_FILE).display().to_string()
        } else if self.filters.iter().any(|shown| !current.contains(shown)) {
            format!("a filter of the git repository of {}", root.display())
        } else {
            return Ok(());
        };
        let what = format!("{what} has changed since it was shown");
        Err(Error::new(ErrorKind::Conflict, what)
            .with_help("look at it again: `fornax trust list` shows it"))
    }
}
