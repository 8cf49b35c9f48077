//! Slow poisoning: the scan over feeds, labelers, segments and batches, and the rows most worth looking at.

mod course;
mod expect;
mod review;
#[cfg(test)]
mod tests;

use mantlet_datachecks::feed::{self, Additive, Alarm, Grid, ScanSettings, Turned};
use mantlet_dataset::{Dataset, Engine, Look, Looked};
use mantlet_vocab::{Finding, Place};

use crate::coding::{Coded, Streaming, other_counts};
use crate::{CurateError, Roles};

pub use review::Suspect;

/// Rows the expectation is learned from at most; beyond, an even sample.
const LEARNED: u64 = 1 << 20;

/// The chance of any lead in a table without change, for one alarm that is held at 1 in 100.
const LEADS: f64 = 0.5;
/// The usual chance of an alarm.
const ALARM: f64 = 0.01;

/// What is scanned for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Of the scan.
    pub scan: ScanSettings,
    /// Cells named at most, of each label.
    pub cells: usize,
    /// Rows to look at.
    pub rows: usize,
    /// Cells that come nearest to an alarm and are none, of each label, whose rows may be looked at as well.
    pub leads: usize,
    /// Bytes of codes kept in memory; a longer table is read again for every pass.
    pub memory: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { scan: ScanSettings::default(), cells: 6, rows: 200, leads: 0, memory: 256 << 20 }
    }
}

/// A cell that turned, with what it was found in.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The counts from which every cell named before was taken out.
    pub grid: Grid,
    /// The alarm.
    pub alarm: Alarm,
    /// The label.
    pub label: String,
    /// The one other label, when there are two.
    pub other: Option<String>,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Studied {
    /// The cells, label after label, the strongest first.
    pub cells: Vec<Cell>,
    /// The rows most worth looking at, likeliest first.
    pub review: Vec<Suspect>,
    /// Rows of the table.
    pub rows: u64,
    /// Batches in order.
    pub batches: Vec<String>,
    /// Cells that were looked at, for each label.
    pub looked: usize,
    /// What was not looked at.
    pub gaps: Vec<String>,
}

impl Studied {
    /// The findings of the rooms, in the order of the cells.
    #[must_use]
    pub fn findings(&self, place: &Place) -> Vec<Finding> {
        let turned = |cell: &Cell| {
            let turned = Turned {
                grid: &cell.grid,
                alarm: &cell.alarm,
                label: &cell.label,
                other: cell.other.as_deref(),
            };
            feed::look(&turned, place)
        };
        self.cells.iter().flat_map(turned).collect()
    }
}

/// One label against all others.
struct Target {
    code: u8,
    model: Additive,
}

/// Scans a table.
///
/// # Errors
/// When the table cannot be read, or a column cannot play its role.
pub fn study(dataset: &Dataset, roles: &Roles, settings: &Settings) -> Result<Studied, CurateError> {
    study_by(&Streaming, dataset, roles, settings)
}

/// The same, by an engine: every pass of the scan is its own unless `settings.memory` holds all codes. Rows to look at
/// are ranked here.
///
/// # Errors
/// As [`study`], or as the engine says.
pub fn study_by<E: Engine>(
    engine: &E,
    dataset: &Dataset,
    roles: &Roles,
    settings: &Settings,
) -> Result<Studied, E::Error>
where
    E::Error: From<CurateError>,
{
    let coded = Coded::new_by(engine, dataset, roles, settings.memory)?;
    // Of two labels the rarer one says everything; of more, each is held against all others.
    let targets: Vec<u8> =
        if coded.labels.len() == 2 { vec![1] } else { (0..=u8::MAX).take(coded.labels.len()).collect() };
    let scan = ScanSettings { alpha: settings.scan.alpha / feed_count(targets.len()), ..settings.scan };
    let mut cells: Vec<Cell> = Vec::new();
    let mut suspects = review::Ranked::new(settings.rows);
    let mut looked = 0;
    for code in targets {
        let mut named: Vec<Alarm> = Vec::new();
        // What a careless labeler got wrong is not what a person is to look at first.
        let mut aimed: Vec<Alarm> = Vec::new();
        let mut leads = 0;
        let target = loop {
            let target = learn(engine, &coded, code, &named)?;
            let grid = count(engine, &coded, &target, &named)?;
            looked = grid.size();
            let more = named.len() < settings.cells && leads == 0;
            let told = if more { feed::scan(&grid, &scan) } else { None };
            let is_lead = told.is_none();
            let alarm = told.or_else(|| {
                let wanted = settings.rows > 0 && leads < settings.leads;
                let wider = ScanSettings { alpha: (scan.alpha * LEADS / ALARM).min(LEADS), ..scan };
                if wanted { feed::scan(&grid, &wider) } else { None }
            });
            let Some(alarm) = alarm else { break target };
            named.push(alarm.clone());
            let other = (coded.labels.len() == 2).then(|| coded.labels[0].0.clone());
            let label = coded.labels[usize::from(code)].0.clone();
            if (Turned { grid: &grid, alarm: &alarm, label: &label, other: other.as_deref() }).is_aimed() {
                aimed.push(alarm.clone());
            }
            if is_lead {
                leads += 1;
            } else {
                cells.push(Cell { grid, alarm, label, other });
            }
        };
        review::rank(&coded, &target.model, code, (&aimed, &named, scan.alpha), &mut suspects)?;
    }
    let gaps = gaps(&coded, cells.first().map(|cell| &cell.grid));
    Ok(Studied {
        cells,
        review: suspects.finish(),
        rows: coded.rows,
        batches: coded.batches.clone(),
        looked,
        gaps,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a few labels")]
fn feed_count(targets: usize) -> f64 {
    targets.max(1) as f64
}

fn gaps(coded: &Coded<'_>, grid: Option<&Grid>) -> Vec<String> {
    let mut gaps = coded.gaps.clone();
    let name = |axis: usize| coded.axis.get(axis).map_or("", |axis| axis.name.as_str());
    for &(one, other) in grid.map(Grid::left_out).unwrap_or_default() {
        gaps.push(format!("`{}` crossed with `{}` has too many cells", name(one), name(other)));
    }
    gaps
}

/// Whether a row lies in one of the cells.
pub(crate) fn within(named: &[Alarm], level: impl Fn(usize) -> u16) -> bool {
    named.iter().any(|alarm| alarm.axes.iter().zip(&alarm.levels).all(|(&axis, &own)| level(axis) == own))
}

/// Learns what the features say of a label, from the rows outside the cells that were named.
fn learn<E: Engine>(engine: &E, coded: &Coded<'_>, code: u8, named: &[Alarm]) -> Result<Target, E::Error>
where
    E::Error: From<CurateError>,
{
    let every = coded.rows.div_ceil(LEARNED).max(1);
    let look = Look::Sample { every, code, named: named.iter().map(Alarm::spot).collect() };
    let Looked::Sample(sample) = coded.look(engine, look)? else { return Err(other_counts().into()) };
    let (columns, truth) = sample.columns();
    Ok(Target { code, model: Additive::fit(&columns, &truth) })
}

fn count<E: Engine>(engine: &E, coded: &Coded<'_>, target: &Target, named: &[Alarm]) -> Result<Grid, E::Error>
where
    E::Error: From<CurateError>,
{
    let look = Look::Cells {
        axes: coded.axis.clone(),
        batches: coded.batches.clone(),
        model: target.model.clone(),
        code: target.code,
        named: named.iter().map(Alarm::spot).collect(),
    };
    match coded.look(engine, look)? {
        Looked::Cells(grid) => Ok(*grid),
        _ => Err(other_counts().into()),
    }
}
