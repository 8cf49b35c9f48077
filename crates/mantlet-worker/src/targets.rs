//! What a campaign can attack: a model file in process, or an endpoint over HTTP.
