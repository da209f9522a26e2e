//! The contract as Rust types: the only place with `bindgen!`.

#![allow(missing_docs, reason = "generated; `wit/` documents every item")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "journey",
    imports: {
        "squall:journey/http.send": async,
        "squall:journey/http.batch": async,
        "squall:journey/http.send-with": async,
        "squall:journey/http.batch-with": async,
        "squall:journey/streams.open": async,
        "squall:journey/streams.read": async,
        "squall:journey/streams.start": async,
        "squall:journey/streams.write": async,
        "squall:journey/streams.finish": async,
        "squall:journey/vu.sleep": async,
    },
    exports: { default: async },
});

/// The protocols beyond HTTP. Each is a package of its own, which a component imports or not.
pub mod protocols {
    wasmtime::component::bindgen!({
        inline: "
            package squall:host;
            world protocols {
                import squall:events/events@0.1.0;
                import squall:websocket/websocket@0.1.0;
                import squall:socket/socket@0.1.0;
                import squall:grpc/grpc@0.1.0;
            }
        ",
        path: "../wit",
        imports: {
            "squall:events/events.open": async,
            "squall:events/events.next": async,
            "squall:websocket/websocket.connect": async,
            "squall:websocket/websocket.send-text": async,
            "squall:websocket/websocket.send-binary": async,
            "squall:websocket/websocket.ping": async,
            "squall:websocket/websocket.close": async,
            "squall:websocket/websocket.receive": async,
            "squall:websocket/websocket.receive-any": async,
            "squall:socket/socket.connect": async,
            "squall:socket/socket.bind": async,
            "squall:socket/socket.send": async,
            "squall:socket/socket.finish": async,
            "squall:socket/socket.receive": async,
            "squall:socket/socket.receive-exactly": async,
            "squall:socket/socket.receive-until": async,
            "squall:socket/socket.send-datagram": async,
            "squall:socket/socket.receive-datagram": async,
            "squall:grpc/grpc.connect": async,
            "squall:grpc/grpc.invoke": async,
            "squall:grpc/grpc.load": async,
            "squall:grpc/grpc.load-set": async,
            "squall:grpc/grpc.open": async,
            "squall:grpc/grpc.receive": async,
            "squall:grpc/grpc.send": async,
        },
    });
}

pub use self::protocols::squall::events::events;
pub use self::protocols::squall::grpc::grpc;
pub use self::squall::journey::{
    check, cookies, env, extract, group, http, log, metric, secret, streams, test, tls, vu,
};
