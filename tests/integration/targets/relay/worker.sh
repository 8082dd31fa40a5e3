# Two daemons, each in a session of its own and away from its parent.
pids=""
for _ in 1 2; do
  pids="$pids $(setsid sh -c '"$PYTHON" job.py >/dev/null & echo $!')"
done
trap 'kill $pids; exit 0' TERM
echo "started two"
while :; do
  sleep 60 &
  wait $!
done
