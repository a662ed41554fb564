//! strata's operations: plan, then execute.
