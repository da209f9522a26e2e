//! Columns that line up over all sections of a summary.

use super::format::{Paint, Style};

/// A metric's line.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) indent: usize,
    pub(super) cells: Cells,
}

/// What a line says.
pub(super) enum Cells {
    /// A value, and what goes with it.
    Plain(String, Vec<String>),
    /// Names and values of statistics.
    Trend(Vec<(String, String)>),
}

/// Lines that share their columns.
pub(super) struct Table {
    rows: Vec<Row>,
    name: usize,
    value: usize,
    extras: Vec<usize>,
    stats: Vec<usize>,
}

impl Table {
    pub(super) fn new(rows: Vec<Row>) -> Self {
        let name = rows.iter().map(|row| row.indent + width(&row.name)).max().unwrap_or_default() + 3;
        let mut table = Self { rows: Vec::new(), name, value: 0, extras: Vec::new(), stats: Vec::new() };
        for row in &rows {
            match &row.cells {
                Cells::Plain(value, extras) => {
                    table.value = table.value.max(width(value));
                    widen(&mut table.extras, extras.iter().map(|extra| width(extra)));
                }
                Cells::Trend(stats) => widen(&mut table.stats, stats.iter().map(|(_, value)| width(value))),
            }
        }
        Self { rows, ..table }
    }

    pub(super) fn lines(&self, style: Style) -> Vec<String> {
        self.rows.iter().map(|row| self.line(row, style)).collect()
    }

    fn line(&self, row: &Row, style: Style) -> String {
        let dots = ".".repeat(self.name - row.indent - width(&row.name));
        let mut cells: Vec<(String, usize)> = Vec::new();
        match &row.cells {
            Cells::Plain(value, extras) => {
                cells.push((style.paint(Paint::Value, value), self.value - width(value)));
                let extras = extras.iter().zip(&self.extras);
                cells.extend(extras.map(|(extra, widest)| (style.paint(Paint::Value, extra), widest - width(extra))));
            }
            Cells::Trend(stats) => {
                let stats = stats.iter().zip(&self.stats);
                cells.extend(stats.map(|((name, value), widest)| {
                    (format!("{name}={}", style.paint(Paint::Value, value)), widest - width(value))
                }));
            }
        }
        let mut line = format!("{:indent$}{}{}:", "", row.name, style.paint(Paint::Faint, &dots), indent = row.indent);
        let mut missing = 0;
        for (cell, padding) in cells {
            line.extend(std::iter::repeat_n(' ', missing + 1));
            line.push_str(&cell);
            missing = padding;
        }
        line
    }
}

/// Columns taken, one for each character: what is printed here has no wide ones but in names of the user's.
fn width(text: &str) -> usize {
    text.chars().count()
}

fn widen(widest: &mut Vec<usize>, widths: impl Iterator<Item = usize>) {
    for (column, width) in widths.enumerate() {
        match widest.get_mut(column) {
            Some(known) => *known = width.max(*known),
            None => widest.push(width),
        }
    }
}
