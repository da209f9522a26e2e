//! The contract in `wit/`, as Rust. The only place that generates it; nothing of it is visible to authors.

#![allow(
    unsafe_code,
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    reason = "generated: the canonical ABI is raw pointers"
)]

wit_bindgen::generate!({
    inline: "
        package squall:sdk;
        world sdk {
            include squall:journey/journey@0.1.1;
            import squall:events/events@0.1.0;
            import squall:websocket/websocket@0.1.0;
            import squall:socket/socket@0.1.0;
            import squall:grpc/grpc@0.1.0;
        }
    ",
    path: "../../wit",
    generate_all,
    // Requests borrow: sending one copies no string into a record of the guest's own.
    ownership: Borrowing { duplicate_if_necessary: true },
    pub_export_macro: true,
});
