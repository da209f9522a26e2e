// tests/journeys/ws-load for k6: one socket per iteration that sends and awaits messages, then is held open.
import ws from 'k6/ws';

const url = __ENV.BASE_URL;
const messages = Number(__ENV.MESSAGES || 1000);
const text = 'x'.repeat(Number(__ENV.SIZE || 100));
const hold = Number(__ENV.HOLD || 0) * 1000;

export default function () {
  let left = messages;
  ws.connect(url, null, (socket) => {
    const next = () => {
      if (left > 0) {
        left -= 1;
        socket.send(text);
      } else if (hold > 0) {
        socket.setTimeout(() => socket.close(1000), hold);
      } else {
        socket.close(1000);
      }
    };
    socket.on('open', next);
    socket.on('message', (message) => {
      if (message.length !== text.length) {
        throw new Error('what came back is not what was sent');
      }
      next();
    });
  });
}
