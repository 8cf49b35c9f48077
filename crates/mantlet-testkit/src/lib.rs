//! The forge: hostile and benign artifacts built at test time from readable text.
