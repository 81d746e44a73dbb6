/* tests/lib/party.c - see party.h. */
#include "party.h"

void party_open(struct party *party, const char *cluster_id)
{
    memset(party, 0, sizeof(*party));
    for (int i = 0; i < PARTY_HANDLES; i++) {
        party->ha[i] = inproc_open("embedded", cluster_id, NULL);
    }
}

void party_close(struct party *party)
{
    for (int i = 0; i < PARTY_HANDLES; i++) {
        assert_int_equal(pgk_ha_close(party->ha[i], NULL), PGK_OK);
        pgk_ha_free(party->ha[i]);
    }
}

static void *hand_main(void *arg)
{
    struct hand *hand = arg;
    hand->work(hand->party, hand->number);
    return NULL;
}

void hands_start(struct hand *hands, int count, struct party *party, party_work work)
{
    for (int i = 0; i < count; i++) {
        hands[i] = (struct hand){.party = party, .work = work, .number = i};
        assert_int_equal(pthread_create(&hands[i].thread, NULL, hand_main, &hands[i]), 0);
    }
}

void hands_join(struct hand *hands, int count)
{
    for (int i = 0; i < count; i++) {
        pthread_join(hands[i].thread, NULL);
    }
}
