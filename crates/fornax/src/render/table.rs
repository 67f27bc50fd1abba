//! Rows in columns, without lines between them.

use crate::out::{DIM, paint};
use crate::text;

/// A table. Cells may hold colours; what is wider than the screen is cut in the last column.
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with a header.
    pub fn new(header: &[&'static str]) -> Table {
        Table {
            header: header.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: one cell a column.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The table as lines of at most so many columns. Columns without any content are left out.
    pub fn render(&self, columns: usize) -> String {
        let shown: Vec<_> = (0..self.header.len())
            .filter(|&at| self.cells(at).any(|cell| cell > 0))
            .collect();
        let widths: Vec<_> = shown
            .iter()
            .map(|&at| self.cells(at).max().unwrap_or(0).max(self.header[at].len()))
            .collect();
        let mut lines = vec![line(
            shown
                .iter()
                .map(|&at| (self.header[at].to_owned(), self.header[at].len())),
            &widths,
            columns,
            |text| paint(DIM, text),
        )];
        lines.extend(self.rows.iter().map(|row| {
            let cells = shown
                .iter()
                .map(|&at| (row[at].clone(), visible_width(&row[at])));
            line(cells, &widths, columns, str::to_owned)
        }));
        lines.join("\n")
    }

    fn cells(&self, at: usize) -> impl Iterator<Item = usize> {
        self.rows.iter().map(move |row| visible_width(&row[at]))
    }
}

fn line(
    cells: impl Iterator<Item = (String, usize)>,
    widths: &[usize],
    columns: usize,
    style: impl Fn(&str) -> String,
) -> String {
    let (mut line, mut used, mut gap) = (String::new(), 0, 0);
    for ((cell, width), column) in cells.zip(widths) {
        let room = columns.saturating_sub(used + gap);
        if width == 0 || room == 0 {
            gap += column + 2;
            continue;
        }
        line.extend(std::iter::repeat_n(' ', gap));
        used += gap + width;
        gap = column - width + 2;
        line.push_str(&style(&cut_styled(&cell, room)));
    }
    line
}

/// How many columns a text takes when its colours are not counted.
pub fn visible_width(styled: &str) -> usize {
    text::width(&anstream::adapter::strip_str(styled).to_string())
}

/// Cuts a text that may hold colours; one that must be cut loses them.
pub fn cut_styled(styled: &str, columns: usize) -> String {
    if visible_width(styled) <= columns {
        return styled.to_owned();
    }
    text::cut(&anstream::adapter::strip_str(styled).to_string(), columns).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::RED;

    fn table() -> Table {
        let mut table = Table::new(&["RUN", "NONE", "STATUS", "NAME"]);
        table.row(vec![
            "1".into(),
            String::new(),
            paint(RED, "failed"),
            "你好 world".into(),
        ]);
        table.row(vec!["200".into(), String::new(), String::new(), "b".into()]);
        table
    }

    #[test]
    fn columns_line_up_and_empty_ones_are_left_out() {
        let plain = anstream::adapter::strip_str(&table().render(80)).to_string();
        insta::assert_snapshot!(plain, @r"
        RUN  STATUS  NAME
        1    failed  你好 world
        200          b
        ");
    }

    #[test]
    fn no_line_is_wider_than_the_screen() {
        for columns in 0..30 {
            for line in table().render(columns).lines() {
                assert!(visible_width(line) <= columns, "{columns}: {line:?}");
            }
        }
    }
}
