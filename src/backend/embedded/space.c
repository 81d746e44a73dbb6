/* backend/embedded/space.c - see space.h. */
#include "backend/embedded/space.h"

bool space_token_leads(const struct space *space, const pgk_token *token)
{
    const struct space_group *group;

    if (space->fixed) {
        return token->epoch == 0 && token->leadership_id == 0;
    }
    LIST_FOREACH(group, &space->groups, link)
    {
        if (group->leadership_id == token->leadership_id) {
            return group->fence_open && group->epoch == token->epoch &&
                   pgk_uuid_compare(&group->session_id, &token->session_id) == 0;
        }
    }
    return false;
}
