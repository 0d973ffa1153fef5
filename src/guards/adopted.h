/* adopted.h - what dead guards leave to a program that gets what its descendants leave (it is a subreaper, or the first process of a
 * container): workers and zygotes of ours whose ends nobody else collects.
 *
 * The workers that the host knows collect themselves when they are buried; this is for those that a guard had forked and not told of, or
 * told of and not collected, when it died. */
#ifndef TDM_GUARDS_ADOPTED_H
#define TDM_GUARDS_ADOPTED_H

/* On the reactor's thread, when a guard has ended: collects what is dead, and looks again, a few times, for what is still dying. */
void tdm_adopted_look(void);
void tdm_adopted_look_no_more(void);

/* When all guards have ended: waits a little for what is still dying. */
void tdm_adopted_end(void);

#endif
