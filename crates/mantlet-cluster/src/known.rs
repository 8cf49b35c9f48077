//! Jobs that plans of this process refer to by the digest of their text, and who has to have signed their profiles.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use datafusion::common::{Result, exec_datafusion_err};
use datafusion::error::DataFusionError;
use mantlet_dataset::{Job, Prepared};
use mantlet_drift::{Buckets, crossed};
use mantlet_seal::{Bundle, PublicKey};
use mantlet_vocab::Digest;

/// Whose profiles a process counts with.
#[derive(Debug, Clone, Default)]
pub struct Vouching {
    keys: Option<Arc<[PublicKey]>>,
    accept_unsigned: bool,
}

impl Vouching {
    /// Everybody's: who asks has verified the profile itself.
    #[must_use]
    pub fn own() -> Self {
        Self::default()
    }

    /// Only those that one of these keys signed; without any signature only where that is accepted.
    #[must_use]
    pub fn of(keys: impl Into<Arc<[PublicKey]>>, accept_unsigned: bool) -> Self {
        Self { keys: Some(keys.into()), accept_unsigned }
    }

    fn check(&self, job: &Job) -> Result<()> {
        let (Some(keys), Some(reference)) = (&self.keys, &job.reference) else { return Ok(()) };
        let Some(seal) = reference.seal() else {
            if self.accept_unsigned {
                return Ok(());
            }
            return Err(exec_datafusion_err!(
                "the profile is refused: it carries no signature; make it with `mantlet monitor baseline`, or start the \
                 executor with --accept-unsigned"
            ));
        };
        let signed = Bundle::read(seal.as_bytes())
            .and_then(|bundle| bundle.verify_bytes(reference.text().as_bytes(), keys));
        signed.map(|_| ()).map_err(|error| {
            exec_datafusion_err!(
                "the profile is refused: {error}; name who may sign with --trust or --storage"
            )
        })
    }
}

/// A job that a plan refers to.
#[derive(Debug)]
pub(crate) struct Held {
    /// What plans call it.
    pub(crate) id: String,
    pub(crate) prepared: Arc<Prepared>,
    /// The columns that are crossed in pairs.
    crossed: Vec<usize>,
}

impl Held {
    /// The buckets of a column, and whether it is crossed in pairs.
    pub(crate) fn buckets(&self, at: usize) -> Option<(&Buckets, bool)> {
        let column = self.prepared.job().reference.as_ref()?.columns().get(at)?;
        Some((&column.buckets, self.crossed.contains(&at)))
    }
}

/// The jobs of the plans that are alive in this process.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    jobs: Arc<Mutex<HashMap<String, Weak<Held>>>>,
    /// The job with labels of its own that was taken last, and when: the next part of the same table finds them read.
    kept: Arc<Mutex<Option<(Arc<Held>, Instant)>>>,
    most: usize,
}

impl Known {
    /// No jobs yet. `most` are the bytes that one answer may take.
    pub(crate) fn new(most: usize) -> Self {
        Self { jobs: Arc::default(), kept: Arc::default(), most }
    }

    /// The bytes that one answer may take.
    pub(crate) const fn most(&self) -> usize {
        self.most
    }

    /// Lets go of labels that nobody asked for in this time.
    pub(crate) fn forget(&self, after: Duration) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take_if(|(_, taken)| taken.elapsed() >= after);
    }

    /// Takes a job in, once its profile is vouched for. It is known for as long as somebody holds it.
    pub(crate) fn take(&self, text: &str, vouching: &Vouching) -> Result<Arc<Held>> {
        let held = self.take_in(text, vouching)?;
        if held.prepared.job().late.is_some() {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            *kept = Some((Arc::clone(&held), Instant::now()));
        }
        Ok(held)
    }

    fn take_in(&self, text: &str, vouching: &Vouching) -> Result<Arc<Held>> {
        let id = Digest::of(text.as_bytes()).hex();
        if let Some(held) = self.jobs().get(&id).and_then(Weak::upgrade) {
            return Ok(held);
        }
        let wrong = |reason: String| DataFusionError::Execution(format!("the job is damaged: {reason}"));
        let job: Job = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        vouching.check(&job)?;
        self.put(id, job)
    }

    /// Takes a job of this process in, which no plan carries anywhere.
    pub(crate) fn hold(&self, job: Job) -> Result<Arc<Held>> {
        self.put("own".to_owned(), job)
    }

    fn put(&self, id: String, job: Job) -> Result<Arc<Held>> {
        let wrong = |reason: String| DataFusionError::Execution(format!("the job is damaged: {reason}"));
        let crossed =
            job.reference.as_ref().map(|reference| crossed(reference.columns())).unwrap_or_default();
        let prepared = Prepared::new(job).map_err(|error| wrong(error.to_string()))?;
        let held = Arc::new(Held { id: id.clone(), prepared: Arc::new(prepared), crossed });
        let mut jobs = self.jobs();
        jobs.retain(|_, held| held.strong_count() > 0);
        jobs.insert(id, Arc::downgrade(&held));
        Ok(held)
    }

    /// The job of this name.
    pub(crate) fn find(&self, id: &str) -> Result<Arc<Held>> {
        let held = self.jobs().get(id).and_then(Weak::upgrade);
        held.ok_or_else(|| exec_datafusion_err!("no plan of this process brought the job {id}"))
    }

    fn jobs(&self) -> std::sync::MutexGuard<'_, HashMap<String, Weak<Held>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use mantlet_dataset::{Column, Kind, Pass, Reference};
    use mantlet_drift::{ColumnProfile, NumberSketch, Profile};
    use mantlet_seal::PrivateKey;

    use super::*;

    fn reference() -> Reference {
        let mut sketch = NumberSketch::default();
        (0..2000_u32).for_each(|i| sketch.take(u64::from(i), f64::from(i).sqrt() / 7.0));
        let column = ColumnProfile { name: "x".into(), buckets: Buckets::of_numbers(&sketch) };
        Reference::of(Profile::new("x", vec![column])).unwrap()
    }

    fn text(reference: Reference) -> String {
        let wanted = vec![Column { name: "x".into(), kind: Kind::Numbers }];
        serde_json::to_string(&Job { reference: Some(reference), ..Job::new(wanted, Pass::Nothing) }).unwrap()
    }

    #[test]
    fn only_profiles_of_those_who_are_trusted_are_taken_and_no_changed_ones() {
        let (known, key) = (Known::new(usize::MAX), PrivateKey::generate(&[3; 32]).unwrap());
        let trusting = Vouching::of(vec![key.public()], false);
        let plain = reference();
        let seal = mantlet_seal::Bundle::sign_bytes("profile.json", plain.text().as_bytes(), &key).unwrap();
        let signed = text(plain.clone().under(seal.clone()));
        let held = known.take(&signed, &trusting).unwrap();
        let edges = held.buckets(0).unwrap().0.clone();
        assert_eq!(edges, plain.columns()[0].buckets, "edges travel to the last bit");
        assert!(held.buckets(0).unwrap().1 && held.buckets(1).is_none());
        assert!(known.find(&held.id).is_ok());
        let refused = |text: &str, by: &Vouching| known.take(text, by).unwrap_err().to_string();
        let unsigned = refused(&text(plain.clone()), &trusting);
        assert!(unsigned.contains("carries no signature"), "{unsigned}");
        // The same name under another number of rows.
        let changed = text(Reference::signed(
            plain.profile().clone(),
            plain.text().replacen("\"x\"", "\"y\"", 1),
            Some(seal),
        ));
        let changed = refused(&changed, &trusting);
        assert!(changed.contains("were signed, these have"), "{changed}");
        // What one process trusts is not what another does.
        let stranger = PrivateKey::generate(&[4; 32]).unwrap();
        let other = Known::new(usize::MAX);
        let untrusted = other.take(&signed, &Vouching::of(vec![stranger.public()], true)).unwrap_err();
        assert!(untrusted.to_string().contains("not among the 1 trusted keys"), "{untrusted}");
        assert!(known.take(&text(plain.clone()), &Vouching::of(Vec::new(), true)).is_ok());
        assert!(known.take(&text(plain), &Vouching::own()).is_ok());
        // A job is known as long as somebody holds it.
        let id = held.id.clone();
        drop(held);
        assert!(known.find(&id).is_err());
    }

    #[test]
    fn a_damaged_job_is_an_error_and_no_panic() {
        let good = text(reference());
        for text in ["", "{}", &good[..good.len() / 2], &good.replace("nothing", "everything")] {
            let error = Known::new(usize::MAX).take(text, &Vouching::own()).unwrap_err().to_string();
            assert!(error.contains("the job is damaged"), "{error}");
        }
    }
}
