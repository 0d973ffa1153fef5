/* adopted.h - what dead guards leave behind to a program that adopts its descendants' orphans (it is a subreaper, or the first process of a
 * container): workers and zygotes of ours whose ends nobody else collects.
 *
 * The workers that the host knows are collected when they are buried; this is for those that a guard had forked and not reported, or reported
 * and not collected, when it died. */
#ifndef TDM_GUARDS_ADOPTED_H
#define TDM_GUARDS_ADOPTED_H

/* On the reactor's thread, when a guard has ended: collects what is dead, and looks again, a few times, for what is still dying. */
void tdm_adopted_look(void);
void tdm_adopted_look_no_more(void);

/* When all guards have ended: waits a little for what is still dying. */
void tdm_adopted_end(void);

#endif
