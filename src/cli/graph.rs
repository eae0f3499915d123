//! Lines of history beside the commits of a log: which came of which, drawn in columns.
//!
//! Knows ids and parents only. Each commit must come before its parents.

use crate::id::CommitId;

/// The columns as they are behind the commits that were drawn.
#[derive(Debug, Default)]
pub struct Graph {
    /// The commit that each column leads to.
    columns: Vec<CommitId>,
}

/// What stands before the lines of one commit.
#[derive(Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Before its first line.
    pub first: String,
    /// Lines of their own behind its first line.
    pub between: Vec<String>,
    /// Before its other lines.
    pub rest: String,
}

impl Graph {
    /// Draws the next commit.
    pub fn draw(&mut self, id: CommitId, parents: &[CommitId]) -> Drawn {
        let at = self.columns.iter().position(|column| *column == id).unwrap_or_else(|| {
            self.columns.push(id);
            self.columns.len() - 1
        });
        let first = self.row(|column| if column == at { '*' } else { '|' });
        let mut between = Vec::new();
        match parents.split_first() {
            Some((parent, others)) => {
                self.columns[at] = *parent;
                for (number, other) in others.iter().enumerate() {
                    let after = at + number;
                    between.push(self.shifted_right(after));
                    self.columns.insert(after + 1, *other);
                }
            }
            None => {
                self.columns.remove(at);
                if at < self.columns.len() {
                    between.push(self.shifted_left(at));
                }
            }
        }
        while let Some((left, right)) = self.twins() {
            between.push(self.joined(left, right));
            self.columns.remove(right);
        }
        Drawn { first, between, rest: self.row(|_| '|') }
    }

    /// Two columns that lead to one commit.
    fn twins(&self) -> Option<(usize, usize)> {
        (1..self.columns.len()).find_map(|right| {
            let left = self.columns[..right].iter().position(|column| *column == self.columns[right])?;
            Some((left, right))
        })
    }

    fn row(&self, sign: impl Fn(usize) -> char) -> String {
        (0..self.columns.len()).flat_map(|column| [sign(column), ' ']).collect()
    }

    /// A column comes out of one, and those behind make room.
    fn shifted_right(&self, at: usize) -> String {
        let signs = (0..self.columns.len()).flat_map(|column| match column {
            column if column < at => ['|', ' '],
            column if column == at => ['|', '\\'],
            _ => [' ', '\\'],
        });
        signs.collect::<String>().trim_end().to_owned()
    }

    /// The columns from one on go where one ended before them.
    fn shifted_left(&self, at: usize) -> String {
        let before = "| ".repeat(at);
        format!("{before} {}", "/ ".repeat(self.columns.len() - at)).trim_end().to_owned()
    }

    /// One column goes over to another one, and those behind move up.
    fn joined(&self, left: usize, right: usize) -> String {
        let signs = (0..self.columns.len()).flat_map(|column| match column {
            column if column >= right => ['/', ' '],
            column if column + 1 == right => ['|', '\0'],
            column if column >= left => ['|', '_'],
            _ => ['|', ' '],
        });
        // What moves up stands half a column further left.
        signs.filter(|sign| *sign != '\0').collect::<String>().trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws commits of one letter each, written as `letter: parents`.
    fn drawn(commits: &[&str]) -> String {
        let id = |letter: char| CommitId::from_bytes([letter as u8; 32]);
        let mut graph = Graph::default();
        let mut lines = Vec::new();
        for commit in commits {
            let letter = commit.chars().next().expect("a letter");
            let parents: Vec<CommitId> = commit.chars().skip(2).map(id).collect();
            let drawn = graph.draw(id(letter), &parents);
            lines.push(format!("{}{letter}", drawn.first));
            lines.extend(drawn.between);
        }
        lines.join("\n")
    }

    #[test]
    fn a_line_is_a_column_and_a_merge_two() {
        assert_eq!(drawn(&["c:b", "b:a", "a:"]), "* c\n* b\n* a");
        let merged = ["* m", "|\\", "| * d", "* | c", "|/", "* a"].join("\n");
        assert_eq!(drawn(&["m:cd", "d:a", "c:a", "a:"]), merged);
    }

    #[test]
    fn lines_that_end_and_lines_that_cross_make_room() {
        assert_eq!(drawn(&["b:", "a:"]), "* b\n* a");
        let ended = ["* m", "|\\", "* | c", " /", "* d"].join("\n");
        assert_eq!(drawn(&["m:cd", "c:", "d:"]), ended);
        let three = ["* m", "|\\", "| |\\", "| | * e", "|_|/", "* | c"].join("\n");
        assert_eq!(drawn(&["m:cde", "e:c", "c:a"]), three);
    }
}
