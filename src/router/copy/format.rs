//! How the rows of one COPY are written: the options that decide where a row and its fields end.

/// Text and CSV share everything but quoting.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    Text { delimiter: u8, null: Vec<u8> },
    Csv { delimiter: u8, null: Vec<u8>, quote: u8, escape: u8, distribution_null: CsvNull },
    Binary,
}

/// What FORCE_NULL and FORCE_NOT_NULL say of the distribution column.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct CsvNull {
    /// A quoted null string is NULL, too.
    pub(crate) force_null: bool,
    /// An unquoted null string is a value.
    pub(crate) force_not_null: bool,
}

/// What the rows contain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Layout {
    pub(crate) format: Format,
    /// The first line of text or CSV holds names.
    pub(crate) header: bool,
    /// They are to be compared with the columns.
    pub(crate) keeps_header: bool,
    /// Names of the columns in the order of the fields.
    pub(crate) columns: Vec<String>,
    /// Which of them is the distribution column.
    pub(crate) distribution: usize,
}

#[cfg(test)]
impl Format {
    pub(crate) fn text() -> Self {
        Self::Text { delimiter: b'\t', null: b"\\N".to_vec() }
    }

    pub(crate) fn csv() -> Self {
        Self::Csv {
            delimiter: b',',
            null: vec![],
            quote: b'"',
            escape: b'"',
            distribution_null: CsvNull::default(),
        }
    }
}
