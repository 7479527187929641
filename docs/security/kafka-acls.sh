#!/bin/sh
# What each role may do on Kafka, as ACLs of one principal a role; nobody needs more, and a broker with
# `allow.everyone.if.no.acl.found=false` gives nothing else. May be run again.
#
#   KAFKA_ACLS='kafka-acls.sh --bootstrap-server kafka:9093 --command-config admin.properties' \
#     sh docs/security/kafka-acls.sh
#
# KAFKA_ACLS     the command, with whom to ask and as whom
# ROUTED_TOPICS  topics of GATEWAY_ROUTES, separated by blanks; none by default
# PREFIX         what the names of principals begin with; `backhaul-` by default
set -eu
: "${KAFKA_ACLS:?the kafka-acls.sh command with its --bootstrap-server}"
PREFIX=${PREFIX-backhaul-}

allow() {
  role=$1
  shift
  $KAFKA_ACLS --add --force --allow-principal "User:$PREFIX$role" "$@"
}

# Creates the topics and checks them: for whoever starts first, or an operator beforehand.
allow setup --operation Create --operation Describe --operation DescribeConfigs \
  --topic playback. --resource-pattern-type prefixed

# At start they ask whether every topic is as it must be.
for role in gateway relay processor; do
  allow "$role" --operation Describe --operation DescribeConfigs \
    --topic playback. --resource-pattern-type prefixed
done

for role in gateway relay; do
  allow "$role" --operation Write --topic playback.events --topic playback.rejects
  for topic in ${ROUTED_TOPICS:-}; do
    allow "$role" --operation Write --operation Describe --operation DescribeConfigs --topic "$topic"
  done
done

# It writes ticks into the topic that it reads.
allow processor --operation Read --topic playback.events
allow processor --operation Write --topic playback.events --topic playback.rejects \
  --topic playback.exceptions --topic playback.sessions --topic playback.alerts
allow processor --operation Read --group backhaul-processor --resource-pattern-type prefixed

allow batch --operation Read --topic playback.events --topic playback.rejects \
  --topic playback.exceptions --topic playback.content

allow serving --operation Read --topic playback.events --topic playback.alerts \
  --topic playback.content

# `npx backhaul`: what the batch does, and `dlq replay`, `erase` and `content load`.
allow operator --operation Read --topic playback.events --topic playback.rejects \
  --topic playback.exceptions --topic playback.content
allow operator --operation Write --topic playback.events --topic playback.rejects \
  --topic playback.sessions --topic playback.content
allow operator --operation DescribeConfigs --topic playback.content
