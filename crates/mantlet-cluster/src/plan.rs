//! The plan: its text, and the table that it reads.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use datafusion::catalog::Session;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::DataFusionError;
use mantlet_dataset::{Column, Dataset};
use mantlet_drift::{Profile, crossed};
use url::Url;

use crate::bucket::{self, Slot};
use crate::{ClusterError, sum};

/// The table's name in the plan.
pub(crate) const TABLE: &str = "later";

/// The query over a table `later`: one row with one tally of these columns in the buckets of the profile. The text
/// holds the profile, so that nobody who runs it needs anything else.
///
/// # Errors
/// When a column of the profile cannot be written as text.
pub fn sql(profile: &Profile, wanted: &[Column]) -> Result<String, ClusterError> {
    let places = crossed(&profile.columns);
    let (mut cells, mut buckets) = (String::new(), String::new());
    for (at, (column, wanted)) in profile.columns.iter().zip(wanted).enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let text = Slot::text(wanted.kind, places.contains(&at), column)?.replace('\'', "''");
        let name = wanted.name.replace('"', "\"\"");
        // Writing to a string cannot fail.
        let _ = write!(cells, "{comma}c{at}");
        let _ = write!(buckets, "{comma}{}(\"{name}\", '{text}') AS c{at}", bucket::NAME);
    }
    Ok(format!("SELECT {}({cells}) FROM (SELECT {buckets} FROM {TABLE})", sum::NAME))
}

/// The table of the plan: the wanted columns of all files, each read as one type.
pub(crate) async fn table(
    session: &dyn Session,
    dataset: &Dataset,
    wanted: &[Column],
) -> Result<ListingTable, ClusterError> {
    if let Some(path) = dataset.other_than_parquet() {
        return Err(ClusterError::NotParquet { path: path.to_owned() });
    }
    let format = ParquetFormat::default().with_force_view_types(false);
    let options = ListingOptions::new(Arc::new(format)).with_file_extension("");
    let mut urls = Vec::new();
    let mut fields: Vec<Field> = Vec::new();
    for path in dataset.files() {
        let absolute =
            path.canonicalize().map_err(|source| ClusterError::Io { path: path.to_owned(), source })?;
        // A path that was resolved is absolute.
        let url = Url::from_file_path(&absolute).map_err(|()| ClusterError::Io {
            path: absolute,
            source: std::io::ErrorKind::InvalidFilename.into(),
        })?;
        let url = ListingTableUrl::try_new(url, None)?;
        let found = options.infer_schema(session, &url).await?;
        urls.push(url);
        for (at, column) in wanted.iter().enumerate() {
            let field = found.field_with_name(&column.name).map_err(DataFusionError::from)?;
            match fields.get_mut(at) {
                None => fields.push(field.clone().with_nullable(true)),
                Some(before) => {
                    let both =
                        alike(before.data_type(), field.data_type()).ok_or_else(|| ClusterError::Types {
                            path: path.to_owned(),
                            column: column.name.clone(),
                            found: field.data_type().to_string(),
                            expected: before.data_type().to_string(),
                        })?;
                    before.set_data_type(both);
                }
            }
        }
    }
    let config = ListingTableConfig::new_with_multi_paths(urls)
        .with_listing_options(options)
        .with_schema(Arc::new(Schema::new(fields)));
    Ok(ListingTable::try_new(config)?)
}

/// The type as which values of both are read the same as each by itself; nothing where a cast would change a value.
fn alike(one: &DataType, other: &DataType) -> Option<DataType> {
    if one == other {
        return Some(one.clone());
    }
    let number = |of: &DataType| of.is_integer() || of.is_floating() || *of == DataType::Boolean;
    let word = |of: &DataType| matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    if number(one) && number(other) {
        // As all numbers are read in the end.
        Some(DataType::Float64)
    } else if word(one) && word(other) {
        Some(DataType::LargeUtf8)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use mantlet_dataset::Kind;
    use mantlet_drift::{Buckets, ColumnProfile, WordSketch};

    use super::*;

    #[test]
    fn types_are_joined_only_where_no_value_changes() {
        use DataType::{Boolean, Date32, Decimal128, Float32, Float64, Int32, LargeUtf8, UInt64, Utf8};
        assert_eq!(alike(&Int32, &Int32), Some(Int32));
        assert_eq!(alike(&Int32, &UInt64), Some(Float64));
        assert_eq!(alike(&Boolean, &Float32), Some(Float64));
        assert_eq!(alike(&Utf8, &LargeUtf8), Some(LargeUtf8));
        assert_eq!(alike(&Utf8, &Int32), None);
        assert_eq!(alike(&Decimal128(9, 2), &Float64), None);
        assert_eq!(alike(&Date32, &Int32), None);
    }

    #[test]
    fn names_and_words_cannot_leave_their_quotes() {
        let mut words = WordSketch::default();
        words.take("it's", 5);
        let name = "a\"b; DROP TABLE later";
        let columns = vec![ColumnProfile { name: name.into(), buckets: Buckets::of_words(&words) }];
        let wanted = [Column { name: name.into(), kind: Kind::Words }];
        let sql = sql(&Profile::new("x", columns), &wanted).unwrap();
        assert!(sql.contains(r#"bucket("a""b; DROP TABLE later", '"#), "{sql}");
        assert!(sql.contains("it''s") && !sql.contains("it's"), "{sql}");
        assert!(sql.starts_with("SELECT tally(c0) FROM (SELECT bucket("), "{sql}");
    }
}
